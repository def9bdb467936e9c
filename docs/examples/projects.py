"""A project from a folder: review an image, ask the queue, export."""

from pathlib import Path

from PIL import Image

from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.exports import export_coco
from napari_semxai.store.project.index.index import ProjectIndex
from napari_semxai.store.project.masks import chosen_masks
from napari_semxai.types import QueueFilter, ReviewChange, ReviewState

Path("images").mkdir()
scenes = {f"wafer_{seed}": scene_of_class(1, seed=seed) for seed in range(3)}
for name, scene in scenes.items():
    Image.fromarray(scene.image).save(f"images/{name}.png")

project = create_project("review", "images")
defect = scenes["wafer_1"].defect
project.write_review("wafer_1", "Anna", ReviewChange(ReviewState.CORRECTED, defect))
project.write_review("wafer_2", "Anna", ReviewChange(ReviewState.NO_DEFECT))

index = ProjectIndex(project, Path("cache"))
to_do = QueueFilter("Anna", frozenset([ReviewState.CANDIDATE]))
print("to review:", [row.image for row in index.queue(to_do)])
print("in COCO JSON:", export_coco(project, chosen_masks(project), Path("coco.json"), "rle"))
index.close()
project.close()
