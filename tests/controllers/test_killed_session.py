"""Kill -9 at any moment: no saved mask is damaged, and at most two seconds of strokes are lost."""

import logging
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.autosave import list_recoveries, load_recovery
from napari_semxai.store.project import open_project
from tests.controllers.killed_session import STROKES
from tests.controllers.test_review import SHAPE

LONGEST_LOSS_SECONDS = 2.0
KILLS = 30


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


def lost_seconds(folder, killed):
    """Return the age of the oldest logged stroke that no mask and no recovery copy holds."""
    project = open_project(folder / "projects" / "images")
    kept = {image.id: np.zeros(SHAPE, bool) for image in project.images}
    for image in project.images:
        record, mask = project.record(image.id, "Anna"), project.mask(image.id, "Anna")
        assert record is None or record.mask_sha256
        if mask is not None:
            kept[image.id] |= mask
    for recovery in list_recoveries(folder / "recovery"):
        kept[recovery.info["name"]] |= load_recovery(recovery.path)[0]
    ages = [0.0]
    for line in (folder / "strokes.log").read_text().splitlines():
        when, image, number = line.split()
        row, column = STROKES[int(number)]
        if not kept[image][row : row + 2, column : column + 2].all():
            ages.append(killed - float(when))
    return max(ages)


@pytest.mark.slow
def test_a_killed_session_loses_at_most_two_seconds(tmp_path):
    rng = np.random.default_rng(KILLS)
    losses = []
    for number in range(KILLS):
        folder = tmp_path / str(number)
        (folder / "images").mkdir(parents=True)
        for image in range(4):
            pixels = rng.integers(0, 255, SHAPE).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"wafer_{image}.png")
        losses.append(lost_seconds(folder, kill_after(folder, rng.uniform(0.3, 4.0))))
    assert max(losses) <= LONGEST_LOSS_SECONDS, losses
    logging.getLogger(__name__).info("longest loss: %.2f s", max(losses))
