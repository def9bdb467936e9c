"""The mask that a person edits, and the image it belongs to.

`images` opens an image, which is also the only way to leave one. `edit` applies whole-mask
edits, loads, saves and writes a recovery copy at most two seconds behind the strokes; `recovery`
offers those of earlier sessions. `recipe` records how the mask came about. `clicks` refines the
mask by SAM prompts (`click_history` lets undo take their dots along).

A new edit of the whole mask is an entry of `MASK_EDITS` in `algorithms/masks/edits.py`.
"""
