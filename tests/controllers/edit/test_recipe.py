from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.algorithms.masks.edits import apply_patches
from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.controllers.edit.recipe import RecipeRecorder, versions
from napari_semxai.state.session import ModelChoice, Origin
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import GenerateSettings, MaskSettings, ModelInfo
from tests.controllers.sam_clicks import disc
from tests.open_images import automatic_of, open_image


@pytest.fixture
def live(image):
    """The mask as napari would hold it."""
    return LiveMask(np.zeros(image.gray.shape))


@pytest.fixture
def recorder(session, image):
    open_image(session, image)
    recorder = RecipeRecorder(session)
    recorder.start_image(image, None, None)
    return recorder


def show_automatic(session, live):
    origin = Origin(model=ModelInfo("bundled", "abc", "cpu"))
    session.automatic = replace(automatic_of(), origin=origin)
    live.sync(session.automatic.truth.mask)


def test_an_untouched_automatic_mask_has_no_edits(session, recorder, live):
    show_automatic(session, live)
    assert not recorder.is_edited(live.mask)
    recipe = recorder.recipe(live.mask)
    assert (recipe.base, recipe.edits) == ("automatic", ())
    assert recipe.base_sha256 == array_digest(session.automatic.truth.mask)
    assert set(recipe.versions) == {"napari-semxai", "sam2", "torch", "numpy"}


def test_a_recipe_says_how_its_image_was_turned(session, image, live):
    turned = replace(image, turned=6)
    open_image(session, turned)
    recorder = RecipeRecorder(session)
    recorder.start_image(turned, None, None)
    live.update((slice(0, 2), slice(0, 2)), np.ones((2, 2)))
    assert recorder.recipe(live.mask).turned == 6


def test_settings_are_those_that_replay_reads(session, recorder, live):
    show_automatic(session, live)
    settings = recorder.recipe(live.mask).settings
    again = MaskSettings.from_json(settings, "auto")
    assert again == session.settings
    assert settings["model"]["sha256"] == "abc"
    assert settings["algorithm"] == again.algorithm.algorithm == "robust"
    assert settings["overridden"] is False
    assert settings["winner"] == session.automatic.truth.winner


def test_strokes_and_edits_are_patches_in_order(session, recorder, live):
    show_automatic(session, live)
    recorder.settle()
    session.update_image(edited=True)
    base = live.mask.copy()
    live.sync(base | disc(20, 20))
    assert recorder.is_edited(live.mask)
    recorder.note(live.mask, base | disc(20, 20, 12), "grow", {"radius": 4})
    live.sync(base | disc(20, 20, 12) | disc(70, 100))
    recipe = recorder.recipe(live.mask)
    assert [edit.name for edit in recipe.edits] == ["stroke", "grow", "stroke"]
    np.testing.assert_array_equal(apply_patches(base, recipe.edits), live.mask)
    np.testing.assert_array_equal(recorder.base, base)


def test_sliders_no_longer_change_the_recipe_of_an_edited_mask(session, recorder, live):
    session.update_image(edited=True)
    live.sync(disc(20, 20))
    session.automatic = automatic_of()
    assert recorder.recipe(live.mask).base == "empty"


def test_the_versions_that_made_the_base_stay(session, recorder, live, image):
    show_automatic(session, live)
    stored = replace(recorder.recipe(live.mask), versions={"torch": "1.0"})
    recorder.start_image(image, live.mask.copy(), stored)
    live.sync(live.mask | disc(20, 20))
    assert recorder.recipe(live.mask).versions == {"torch": "1.0"}
    # A new automatic mask is today's.
    show_automatic(session, live)
    assert recorder.recipe(live.mask).versions == versions()


def test_a_stored_recipe_goes_on(session, recorder, live, image):
    show_automatic(session, live)
    stored = recorder.recipe(live.mask)
    mask = live.mask.copy()
    recorder.start_image(image, mask, stored)
    assert not recorder.is_edited(live.mask)
    live.sync(mask | disc(20, 20))
    again = recorder.recipe(live.mask)
    assert again.base == "automatic"
    assert again.settings == stored.settings
    assert len(again.edits) == 1


def test_what_made_the_candidates_counts_not_what_is_chosen_now(session, recorder, live):
    origin = Origin(ModelChoice("a"), GenerateSettings(8), ModelInfo("a", "aa", "cpu"), (16, 64))
    session.choice, session.model = ModelChoice("b"), ModelInfo("b", "bb", "cpu")
    session.automatic = replace(automatic_of(), origin=origin)
    settings = recorder.recipe(live.mask).settings
    assert settings["model"] == {"name": "a", "sha256": "aa"}
    assert settings["points_per_side"] == 8
    assert (settings["points_done"], settings["points_total"]) == (16, 64)


def test_the_score_is_that_of_the_mask_it_began_with(session, recorder, live, image):
    assert recorder.score is None
    show_automatic(session, live)
    assert recorder.score == session.automatic.score is not None
    recorder.start_image(image, None, None)
    assert recorder.score is None
