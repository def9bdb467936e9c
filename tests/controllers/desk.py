"""A session with its controllers on a real project, without a viewer."""

import queue
import time

import numpy as np
from PIL import Image

from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.project.annotators import AnnotatorsController
from napari_semxai.controllers.project.images import ImageController
from napari_semxai.controllers.project.projects import ProjectController
from napari_semxai.controllers.project.queue import QueueController
from napari_semxai.controllers.project.rankings import Rankings
from napari_semxai.controllers.project.review import ReviewController
from napari_semxai.controllers.project.review_writer import ReviewWriter
from napari_semxai.controllers.project.tools import ProjectTools
from napari_semxai.controllers.segment.segment import SegmentController
from napari_semxai.state.session import Automatic, Origin, Session
from napari_semxai.store.disk.folders import Folders
from napari_semxai.store.project.project import open_project
from napari_semxai.types import IGNORED, LeftOut, ModelInfo, mask_labels
from tests.controllers.sam_clicks import Engine
from tests.pools import pool_of

SHAPE = (24, 32)


def surface_and_defect(shape=SHAPE, column=10):
    masks = np.zeros((2, *shape), dtype=bool)
    masks[0] = True
    masks[:, 8:14, column : column + 8] = False
    masks[1, 8:14, column : column + 8] = True
    return pool_of(masks)


def generated(shape=SHAPE, column=10):
    """An automatic mask of 48 pixels."""
    pool = surface_and_defect(shape, column)
    origin = Origin(model=ModelInfo("fake", "abc", "cpu"))
    truth = ground_truth(pool, ignore_border=0)
    return Automatic(pool, np.arange(2), truth, LeftOut(), origin=origin)


class Desk:
    """A session with its controllers, and what the layers would do; calls run in `turn`."""

    def __init__(self, folder):
        self.folder, self.calls = folder, queue.SimpleQueue()
        self.session = session = Session()
        self.jobs = Jobs(self.calls.put, say=session.say)
        self.writes = Jobs(self.calls.put, threads=1, say=session.say)
        self.edit = EditController(session, self.jobs, folder / "recovery", wait=60)
        segment = SegmentController(session, Engine())
        self.writer = ReviewWriter(session, self.edit, self.writes)
        self.images = ImageController(session, self.jobs, segment, self.edit, self.writer)
        session.events.image.connect(self._begin)
        session.events.proposal.connect(self._take)
        session.events.automatic.connect(self._show)
        self.review = ReviewController(session, self.images, self.edit, self.writer, self.writes)
        # Tests act faster than anybody sees; that is tested where it is the point.
        self.review.seen_at_least = 0.0
        self.rankings = Rankings(session, Engine(), self.jobs)
        self.queue = QueueController(session, self.images, self.writes, self.rankings)
        folders = Folders(recovery=folder / "recovery", projects=folder / "projects")
        self.projects = ProjectController(
            session, self.images, self.writer, self.jobs, self.writes, folders
        )
        self.annotators = AnnotatorsController(session, self.edit, self.jobs)
        self.tools = ProjectTools(session, self.projects, self.jobs, self.writes)
        self.live = None

    def _begin(self, image):
        if image is not None:
            stored = self.session.current.mask
            mask = np.zeros(SHAPE, bool) if stored is None else stored
            self.live = LiveMask(mask_labels(mask, self.session.ignored), marks=True)
            self.edit.start_mask(self.live)

    def _take(self, proposal):
        ignored = self.live.ignored if proposal.ignored is None else proposal.ignored
        self._change(self.live.sync(mask_labels(proposal.mask, ignored)))

    def _show(self, automatic):
        if automatic is not None and not self.session.edited:
            self.live.sync(mask_labels(automatic.truth.mask, self.live.ignored))

    def stroke(self, row, column):
        self._paint(row, column, 4, 1)

    def mark(self, row, column, side=4, label=IGNORED):
        """Mark a square to be ignored, or with label 0 take that back."""
        self._paint(row, column, side, label)

    def _paint(self, row, column, side, label):
        box = slice(row, row + side), slice(column, column + side)
        self._change(self.live.update(box, np.full((side, side), label, np.uint8)))

    def _change(self, change):
        if change is not None:
            self.edit.mask_changed()
            self.edit.stroked(change)

    def turn(self, condition, patience=10):
        """Run what was delivered until a condition holds."""
        end = time.monotonic() + patience
        while not condition():
            self.calls.get(timeout=max(0.01, end - time.monotonic()))()

    def open(self, annotator="Anna", count=5):
        self.projects.open(self.folder / "images", annotator)
        self.turn(lambda: self.session.queue is not None and self.session.queue.current)
        return self.session.queue

    def close(self):
        self.projects.close()
        self.edit.close()
        self.jobs.close()
        self.writes.close()

    def project(self):
        return open_project(self.folder / "projects" / "images")


def make_images(folder, count=5):
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 255, SHAPE).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"wafer_{number}.png")
