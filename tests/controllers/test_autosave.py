import threading
import time

from napari_semxai.controllers.autosave import LONGEST_WAIT, Autosave


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
