"""Explanations as layers over the current image.

`explanations` shows heat maps and concepts, drawn by `float_layers`; `masks` shows the masks
taken from them. `arrangement` decides which are on show and where, `image_copies` repeats the
image for those that lie beside it.
"""
