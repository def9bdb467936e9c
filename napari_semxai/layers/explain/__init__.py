"""Explanations as layers over the current image.

`explanations` shows the maps of every family of `controllers.explain`, drawn by `float_layers`,
and the masks taken from them. It decides which are on show and where, and repeats the image for
those that lie beside it. No file here knows a family by name but the heat map, which is
drawn first.
"""
