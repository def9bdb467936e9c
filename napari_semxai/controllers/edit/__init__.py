"""The mask that a person edits, and the image it belongs to.

`images` opens an image, which is also the only way to leave one; `image_opener` finds out
whether it belongs to the open project. `edit` applies whole-mask edits, loads and saves;
`recipe` records how the mask came about. `autosave` writes a recovery copy at most two seconds
behind the strokes and `recovery` offers those of earlier sessions. `pixel_size` sets the scale.

A new edit of the whole mask is an entry in `edit`.
"""
