"""Kill -9 at any moment: no saved mask is damaged, and at most two seconds of strokes are lost.

After each kill the window is opened again, and what it offers is restored.
"""

import logging
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.project import open_project
from tests.controllers.desk import SHAPE, Desk
from tests.controllers.killed_session import STROKES

LONGEST_LOSS_SECONDS = 2.0


def kill_after(folder, seconds):
    """Run a session in `folder`, kill it, and return when."""
    script = [sys.executable, "-m", "tests.controllers.killed_session", str(folder)]
    with subprocess.Popen(script) as process:
        while not (folder / "strokes.log").exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        return time.monotonic()


def check_saved(folder):
    """Return how many masks were said to be saved; each is in the project, bit for bit."""
    project, log = open_project(folder / "projects" / "images"), folder / "saved.log"
    records = {image.id: project.record(image.id, "Anna") for image in project.images}
    masks = {image.id: project.mask(image.id, "Anna") for image in project.images}
    lines = log.read_text().splitlines() if log.exists() else []
    for line in lines:
        image, bits, state = line.split(" ", 2)
        packed = np.frombuffer(bytes.fromhex(bits), np.uint8)
        saved = np.unpackbits(packed, count=SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(bool)
        events = [(event.mask_sha256, str(event.state)) for event in records[image].history]
        assert (array_digest(saved), state) in events
        # Later strokes only add to a mask.
        assert masks[image][saved].all()
        if records[image].mask_sha256 == array_digest(saved):
            np.testing.assert_array_equal(masks[image], saved)
    for image, record in records.items():
        assert (record is None) == (masks[image] is None)
        assert record is None or record.mask_sha256 == array_digest(masks[image])
    return len(lines)


def restored(folder):
    """Open the window again, restore what it offers, and return the mask of every image."""
    desk, looked, masks = Desk(folder), set(), {}
    found = desk.edit.recovery._on_found

    def note(recovery):
        found(recovery)
        looked.add(desk.session.queue.current)

    desk.edit.recovery._on_found = note
    desk.open()
    for image in desk.project().images:
        desk.images.go(image.id)
        desk.turn(lambda image=image: image.id in looked, patience=60)
        if desk.session.recovery is not None:
            assert not desk.session.recovery.from_this_process
            desk.edit.recovery.restore()
            desk.turn(lambda: desk.session.proposal is not None, patience=60)
        masks[image.id] = desk.live.mask.copy()
        desk.session.proposal = None
    desk.close()
    return masks


def lost_seconds(folder, killed):
    """Return the age of the oldest logged stroke that neither project nor recovery brings back."""
    kept = restored(folder)
    ages = [0.0]
    for line in (folder / "strokes.log").read_text().splitlines():
        when, image, number = line.split()
        row, column = STROKES[int(number)]
        if not kept[image][row : row + 2, column : column + 2].all():
            ages.append(killed - float(when))
    return max(ages)


@pytest.mark.parametrize("kills", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_a_killed_session_loses_at_most_two_seconds(tmp_path, kills):
    rng = np.random.default_rng(kills)
    losses, saved = [], 0
    for number in range(kills):
        folder = tmp_path / str(number)
        (folder / "images").mkdir(parents=True)
        for image in range(4):
            pixels = rng.integers(0, 255, SHAPE).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"wafer_{image}.png")
        killed = kill_after(folder, rng.uniform(0.3, 4.0))
        saved += check_saved(folder)
        losses.append(lost_seconds(folder, killed))
    assert saved or kills < 10
    assert max(losses) <= LONGEST_LOSS_SECONDS, losses
    logging.getLogger(__name__).info("longest loss: %.2f s", max(losses))
