"""The mask that a person edits.

`edit` applies whole-mask edits, loads and saves; `recovery` writes a copy at most two seconds
behind the strokes, and finds those of earlier sessions. `recipe` records how the mask came
about: an edit is noted there, and then proposed to the layers. `clicks` refines the mask by SAM
prompts, and lets undo take their dots along; `preview` asks what a click would select. `defects`
lists the mask's connected parts and edits single ones.

A new edit of the whole mask is an entry of `MASK_EDITS` in `algorithms/masks/edits.py`, one of
single defects an entry of `DEFECT_EDITS`.
"""
