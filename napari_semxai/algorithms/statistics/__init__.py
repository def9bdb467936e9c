"""Statistics over many images, annotators or participants.

`evaluation` summarises scores of methods over a data set and compares two of them on the same
images. `classification` scores and calibrates classifiers and splits their data. `agreement`
compares annotators and gives the majority mask. `acceptance` says what reviewed images prove: that
what was learned is better, and of how many masks that nobody need look at them. `ranking` orders
images by what a network sees in them, and reviewed masks by how wrong they look. `survey`
evaluates the satisfaction scale.

A new figure of an evaluation table begins in `evaluation`.
"""
