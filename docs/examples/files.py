"""A mask beside its image: read a 16-bit TIFF, save a mask, read it again."""

import tifffile

import napari_semxai as sx
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.store.images.masks import read_mask, write_mask
from napari_semxai.store.images.read import read_image

scene = scene_of_class(1, seed=3)
tifffile.imwrite("wafer.tif", scene.image.astype("uint16") * 100 + 4000)

image = read_image("wafer.tif")
print(image.pixels.dtype, "as stored,", image.gray.dtype, "as the network sees it")
print("pixel size:", image.pixel_size or "not in the file")

write_mask("wafer_mask.png", scene.defect)
mask = read_mask("wafer_mask.png", shape=image.gray.shape)
print(f"Dice {sx.scores(mask, scene.defect).dice:.3f}")
