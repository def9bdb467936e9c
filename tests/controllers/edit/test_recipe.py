from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.algorithms.masks.patches import apply_patches
from napari_semxai.controllers.edit.recipe import RecipeRecorder, versions
from napari_semxai.state.session import ModelChoice, Origin, Proposal
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import GenerateSettings, MaskSettings, ModelInfo
from tests.controllers.edit.test_clicks import Edit, disc
from tests.layers.mask.test_session_layers import automatic_of


@pytest.fixture
def recorder(session, image):
    session.image = image
    edit = Edit.__new__(Edit)
    edit.live = LiveMask(np.zeros(image.gray.shape))
    recorder = RecipeRecorder(session, lambda: edit.mask)
    # As in the window: an edit is noted before it is written.
    session.events.proposal.connect(edit.take)
    recorder.edit = edit
    recorder.begin(image, None, None)
    return recorder


def show_automatic(session, recorder):
    origin = Origin(model=ModelInfo("bundled", "abc", "cpu"))
    session.automatic = replace(automatic_of(), origin=origin)
    recorder.edit.live.sync(session.automatic.truth.mask)


def test_an_untouched_automatic_mask_has_no_edits(session, recorder):
    show_automatic(session, recorder)
    assert not recorder.edited
    recipe = recorder.recipe(recorder.edit.mask)
    assert (recipe.base, recipe.edits) == ("automatic", ())
    assert recipe.base_sha256 == array_digest(session.automatic.truth.mask)
    assert set(recipe.versions) == {"napari-semxai", "sam2", "torch", "numpy"}


def test_settings_are_those_that_replay_reads(session, recorder):
    show_automatic(session, recorder)
    settings = recorder.recipe(recorder.edit.mask).settings
    again = MaskSettings.from_json(settings, "auto")
    assert again == session.settings
    assert settings["model"]["sha256"] == "abc"
    assert settings["algorithm"] == again.algorithm.algorithm == "robust"
    assert settings["overridden"] is False
    assert settings["winner"] == session.automatic.truth.winner


def test_strokes_and_edits_are_patches_in_order(session, recorder):
    show_automatic(session, recorder)
    session.edited = True
    base, live = recorder.edit.mask.copy(), recorder.edit.live
    live.sync(base | disc(20, 20))
    assert recorder.edited
    session.proposal = Proposal(base | disc(20, 20, 12), "grow", {"radius": 4})
    live.sync(base | disc(20, 20, 12) | disc(70, 100))
    recipe = recorder.recipe(live.mask)
    assert [edit.name for edit in recipe.edits] == ["stroke", "grow", "stroke"]
    np.testing.assert_array_equal(apply_patches(base, recipe.edits), live.mask)


def test_sliders_no_longer_change_the_recipe_of_an_edited_mask(session, recorder):
    session.edited = True
    recorder.edit.live.sync(disc(20, 20))
    session.automatic = automatic_of()
    assert recorder.recipe(recorder.edit.mask).base == "empty"


def test_the_versions_that_made_the_base_stay(session, recorder, image):
    show_automatic(session, recorder)
    stored = replace(recorder.recipe(recorder.edit.mask), versions={"torch": "1.0"})
    recorder.begin(image, recorder.edit.mask.copy(), stored)
    recorder.edit.live.sync(recorder.edit.mask | disc(20, 20))
    assert recorder.recipe(recorder.edit.mask).versions == {"torch": "1.0"}
    # A new automatic mask is today's.
    show_automatic(session, recorder)
    assert recorder.recipe(recorder.edit.mask).versions == versions()


def test_a_stored_recipe_goes_on(session, recorder, image):
    show_automatic(session, recorder)
    stored = recorder.recipe(recorder.edit.mask)
    mask = recorder.edit.mask.copy()
    recorder.begin(image, mask, stored)
    assert not recorder.edited
    recorder.edit.live.sync(mask | disc(20, 20))
    again = recorder.recipe(recorder.edit.mask)
    assert again.base == "automatic"
    assert again.settings == stored.settings
    assert len(again.edits) == 1


def test_what_made_the_candidates_counts_not_what_is_chosen_now(session, recorder):
    origin = Origin(ModelChoice("a"), GenerateSettings(8), ModelInfo("a", "aa", "cpu"), (16, 64))
    session.choice, session.model = ModelChoice("b"), ModelInfo("b", "bb", "cpu")
    session.automatic = replace(automatic_of(), origin=origin)
    settings = recorder.recipe(recorder.edit.mask).settings
    assert settings["model"] == {"name": "a", "sha256": "aa"}
    assert settings["points_per_side"] == 8
    assert (settings["points_done"], settings["points_total"]) == (16, 64)


def test_the_score_is_that_of_the_mask_it_began_with(session, recorder, image):
    assert recorder.score is None
    show_automatic(session, recorder)
    assert recorder.score == session.automatic.score is not None
    recorder.begin(image, None, None)
    assert recorder.score is None
