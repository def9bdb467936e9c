"""Candidates of the bundled SAM 2, then a mask for several settings without asking it again."""

import napari_semxai as sx
from napari_semxai.sample_data import sample_scene

scene = sample_scene()
candidates = sx.generate_candidates(scene.image, points_per_side=12)
print(len(candidates), "candidates")

strips = sx.edge_strips(scene.image)
for alpha in (0.0, 1.0, 2.0, 4.0):
    result = sx.ground_truth(candidates, alpha=alpha, ignore_border=strips)
    scores = sx.scores(result.mask, scene.defect)
    print(f"alpha {alpha}: winner {result.winner}, Dice {scores.dice:.3f}, IoU {scores.iou:.3f}")
