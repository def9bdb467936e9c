"""Algorithm 1 on a synthetic scene, with two hand-made candidates."""

import numpy as np

import napari_semxai as sx
from napari_semxai.algorithms.synthetic import scene_of_class

scene = scene_of_class(1, seed=3)

# What a network might propose: the wafer surface, and the defect itself.
candidates = np.stack([~scene.defect, scene.defect])

strips = sx.edge_strips(scene.image)
result = sx.ground_truth(candidates, alpha=2.0, beta=0.05, ignore_border=strips)
print("winner:", result.winner)
print("eligible:", result.eligible)
print(result.reason or f"the defect has {result.mask.sum()} pixels")

scores = sx.scores(result.mask, scene.defect)
print(f"Dice {scores.dice:.3f}, IoU {scores.iou:.3f}")
