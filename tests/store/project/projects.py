"""Small projects on disk."""

from contextlib import closing, contextmanager

import numpy as np
import tifffile
from PIL import Image

from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.create import create_project
from napari_semxai.types import MaskRecipe, ReviewChange, ReviewState

SHAPE = (24, 32)
MIXED = (24, 30)


def square(row=4, column=6, side=5):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[row : row + side, column : column + side] = True
    return mask


@contextmanager
def three_images(folder):
    """Yield a project of three images, without any record."""
    images = folder / "images"
    images.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.tif", "b.tif", "c.tif"):
        tifffile.imwrite(images / name, random.integers(0, 255, SHAPE, dtype=np.uint8))
    with closing(create_project(folder / "project", images)) as project:
        yield project


def blob(seed):
    """A mask with parts, holes and corners that touch."""
    return np.random.default_rng(seed).random(MIXED) > 0.6


@contextmanager
def mixed_project(folder):
    """Yield a project of an image and a stack, reviewed in four ways."""
    images = folder / "images"
    images.mkdir()
    random = np.random.default_rng(1)
    Image.fromarray(random.integers(0, 255, MIXED, dtype=np.uint8)).save(images / "a.jpg")
    pages = random.integers(0, 60000, (3, *MIXED), dtype=np.uint16)
    tifffile.imwrite(images / "stack.tif", pages, photometric="minisblack")
    rows = ["path,page,class,lot,wafer,defect,pixel_size_nm", "a.jpg,,7,L1,W1,11,2"]
    rows += [f"stack.tif,{page},8,L1,W2,{page},2.5" for page in range(3)]
    (images / "list.csv").write_text("\n".join(rows))
    with closing(create_project(folder / "project", images / "list.csv")) as project:
        write = project.write_review
        write("a", "anna", ReviewChange(ReviewState.CORRECTED, blob(1), label="9", comment="x;y"))
        write("stack_p0001", "anna", ReviewChange(ReviewState.ACCEPTED, blob(2)))
        write("stack_p0002", "anna", ReviewChange(ReviewState.NO_DEFECT))
        write("stack_p0003", "anna", ReviewChange(ReviewState.REJECTED, blob(4)))
        yield project


def propose(project, image_id, mask, score=0.5, annotator="anna"):
    """Write an automatic mask that nobody has reviewed."""
    recipe = MaskRecipe("automatic", array_digest(mask), project.image(image_id).sha256)
    change = ReviewChange(mask=mask, recipe=recipe, score=score)
    return project.write_review(image_id, annotator, change)
