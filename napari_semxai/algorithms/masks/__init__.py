"""Masks as arrays: components, edits, outlines, sizes and scores.

`components` labels connected components from run lengths, lists them as defects, and removes,
keeps, joins and splits single ones. `edits` are the edits of a whole mask (fill holes, smooth,
grow …), one function each, and any edit as it is stored: the runs of pixels that it flipped;
`click_edits` limits a SAM answer to the component that was clicked and tells which answers to
question. `metrics` defines Dice, IoU and their relatives, and keeps them up to date from changed
boxes alone. `foreground` decides what the pixels of other programs' mask files mean.
`measurements` gives sizes and exact polygons.

A new edit begins in `edits`; a new score in `metrics`.
"""
