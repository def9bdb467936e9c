"""Opening an image in a session without the controllers that do it in a window."""

from napari_semxai.state.open_image import OpenImage
from napari_semxai.state.session import Proposal


def open_image(session, image, **fields):
    """Make an image the current one, with fields of `OpenImage`; None shows nothing."""
    fields = {} if image is None else {"pixel_size": image.pixel_size} | fields
    session.current = None if image is None else OpenImage(image, **fields)


def propose_to(session):
    """Return what proposes an edit, where no mask is there to note it."""

    def propose(mask, title, details=None):
        session.proposal = Proposal(mask, title, details or {})

    return propose
