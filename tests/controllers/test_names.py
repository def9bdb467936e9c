"""Images are known by their real names in every message, list and jump; ids are for machines."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_semxai.store.disk.names import natural_key
from napari_semxai.store.disk.safety_net import save_recovery
from napari_semxai.types import InputError, ReviewChange, ReviewState
from tests.controllers.desk import SHAPE, Desk

NAMES = (
    "Größe 10",
    "Größe 2",
    "lot_a/晶圆甲",
    "lot_b/晶圆甲",
    "ウェハ丙",
    "лот",
    "رقاقة",
    "δ<b>&amp;",
    "🔬",
    "a.b.c",
)


@pytest.fixture
def desk(tmp_path):
    for seed, name in enumerate(NAMES):
        # As macOS writes names.
        path = tmp_path / "images" / f"{unicodedata.normalize('NFD', name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, SHAPE).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def ids(desk):
    return {unicodedata.normalize("NFC", one.name): one.id for one in desk.project().images}


def nfc(text):
    return unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_jump_finds_every_name_in_every_spelling(desk, form):
    desk.open()
    known = ids(desk)
    assert set(known) == set(NAMES)
    for name in NAMES[1:]:
        desk.queue.find(unicodedata.normalize(form, name).upper())
        desk.turn(lambda name=name: desk.session.queue.current == known[name])
        assert nfc(desk.session.queue.title) == name


def test_the_list_is_in_natural_order_and_filtered_by_any_spelling(desk):
    desk.open()
    desk.queue.set_filter(order="image", descending=True)

    def names():
        return [nfc(row.name) for row in desk.session.queue.shown]

    desk.turn(lambda: names().index("Größe 10") + 1 == names().index("Größe 2"))
    for form in ("NFC", "NFD"):
        wanted = unicodedata.normalize(form, "GRÖSSE 1")
        desk.queue.set_filter(text=wanted)
        desk.turn(lambda: len(desk.session.queue.shown) == 1)
        assert nfc(desk.session.queue.shown[0].name) == "Größe 10"
        desk.queue.set_filter(text="")
        desk.turn(lambda: len(desk.session.queue.shown) == len(NAMES))


def test_what_is_said_names_the_image(desk, tmp_path):
    said = []
    desk.session.events.message.connect(lambda text, *_: said.append(nfc(text)))
    known = {}

    def check(name, text=None):
        last = text or said[-1]
        assert name in nfc(last)
        # An id that differs from the name has no place in what people read.
        assert not [
            one for one in known.values() if len(one) > 3 and not one.isalnum() and one in last
        ]

    desk.open()
    known.update(ids(desk))
    first = nfc(desk.session.queue.title)
    desk.review.review(ReviewState.NO_DEFECT)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    desk.review.undo()
    desk.turn(lambda: any("Undone" in text for text in said))
    check(first)
    project = desk.project()
    broken = project.find("лот")
    broken.path.write_bytes(b"no picture")
    desk.queue.find("лот")
    desk.turn(lambda: any("cannot be read" in text for text in said))
    check("лот")
    one = project.find("lot_b/晶圆甲")
    for change in (ReviewChange(ReviewState.ACCEPTED), ReviewChange(mask=np.ones((2, 2), bool))):
        with pytest.raises(InputError) as error:
            project.write_review(one.id, "Anna2", change)
        check("lot_b/晶圆甲", str(error.value))
    with pytest.raises(InputError) as error:
        project.restore_replaced(one.id, "Anna")
    check("lot_b/晶圆甲", str(error.value))
    key = desk.session.project.cache.key(one.id)
    save_recovery(tmp_path / "recovery", key, np.ones(SHAPE, bool), {})
    desk.projects.open(tmp_path / "images", "Anna")
    desk.turn(lambda: any("Unsaved masks" in text for text in said))
    check("lot_b/晶圆甲", next(text for text in said if "Unsaved masks" in text))


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=12), st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_in_names_are_ordered_by_value(word, one, other):
    keys = [natural_key(f"{unicodedata.normalize(form, word)}_{one}") for form in ("NFC", "NFD")]
    assert keys[0] == keys[1]
    assert (keys[0] < natural_key(f"{word}_{other}")) == (one < other)
