"""Opening an image in a session without the controllers that do it in a window."""

import numpy as np

from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.state.open_image import OpenImage
from napari_semxai.state.session import Automatic, Proposal
from napari_semxai.types import LeftOut, SemImage
from tests.pools import pool_of, scene_masks


def open_image(session, image, **fields):
    """Make an image the current one, with fields of `OpenImage`; None shows nothing."""
    fields = {} if image is None else {"pixel_size": image.pixel_size} | fields
    session.current = None if image is None else OpenImage(image, **fields)


def propose_to(session):
    """Return what proposes an edit, where no mask is there to note it."""

    def propose(mask, title, details=None):
        session.proposal = Proposal(mask, title, details or {})

    return propose


def make_image(name="a", shape=(96, 128)):
    gray = np.random.default_rng(0).integers(80, 120, shape).astype(np.uint8)
    return SemImage(name, gray, gray)


def automatic_of(border=(0, 3, 0, 0)):
    pool = pool_of(scene_masks())
    truth = ground_truth(pool, ignore_border=border)
    return Automatic(pool, np.arange(len(pool)), truth, LeftOut(border))
