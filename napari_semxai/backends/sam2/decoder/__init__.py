"""The mask decoder of SAM 2 for many prompts on one image, equal to the reference up to rounding.

`decoder` runs the two-way transformer with everything that depends on the image alone computed
once, and turns its answer into mask logits as matrix products, only for masks whose predicted IoU
passes. `attention` keeps each prompt's image as a low-rank change of the shared one.

Tests hold all of it to the sam2 package's own decoder.
"""
