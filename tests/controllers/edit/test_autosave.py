import threading
import time

from napari_semxai.controllers.edit.recovery import LONGEST_WAIT, Autosave, LateCopies


class Saves:
    def __init__(self):
        self.times, self.happened = [], threading.Event()

    def __call__(self):
        self.times.append(time.monotonic())
        self.happened.set()


def test_it_also_saves_in_the_middle_of_long_painting():
    saves = Saves()
    autosave = Autosave(saves, wait=0.05)
    begin = time.monotonic()
    while len(saves.times) < 3 and time.monotonic() - begin < 30:
        autosave.touch()
    autosave.forget()
    assert len(saves.times) == 3
    assert saves.times[0] - begin >= 0.05


def test_nothing_is_saved_without_a_change():
    saves = Saves()
    autosave = Autosave(saves, wait=0.01)
    autosave.flush()
    autosave.hurry()
    assert saves.times == []


def test_flush_saves_before_it_returns():
    saves = Saves()
    autosave = Autosave(saves, wait=60)
    autosave.touch()
    autosave.flush()
    assert len(saves.times) == 1


def test_hurry_does_not_wait():
    go, saves = threading.Event(), Saves()

    def save():
        go.wait(30)
        saves()

    autosave = Autosave(save, wait=60)
    autosave.touch()
    autosave.hurry()
    assert saves.times == []
    go.set()
    assert saves.happened.wait(30)
    autosave.flush()
    assert len(saves.times) == 1


def test_the_longest_wait_keeps_copies_within_two_seconds():
    assert LONGEST_WAIT <= 1.0


def test_nothing_is_written_after_forget():
    go, begun, saves = threading.Event(), threading.Event(), Saves()

    def save():
        begun.set()
        go.wait(30)
        saves()

    autosave = Autosave(save, wait=60)
    autosave.touch()
    autosave.hurry()
    assert begun.wait(30)
    autosave.touch()
    autosave.hurry()
    assert autosave.busy
    go.set()
    autosave.forget()
    written = len(saves.times)
    autosave.flush()
    for thread in threading.enumerate():
        if thread.name == "semxai-autosave":
            thread.join(30)
    assert len(saves.times) == written >= 1
    assert not autosave.busy


def test_copies_of_masks_that_were_let_go_are_known_until_they_are_written():
    late, saves = LateCopies(), Saves()
    for key in "ab":
        autosave = Autosave(saves, wait=60)
        autosave.touch()
        late.take(key, autosave)
        assert late.of(key) == [autosave]
    late.flush()
    assert len(saves.times) == 2
    late.take("c", Autosave(saves))
    assert late.of("a") == []
