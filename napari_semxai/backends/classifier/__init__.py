"""Classifiers: loading, running and training them.

`classifier` is the door: image in, calibrated probabilities out; it runs a network once to see
that it works. `files` reads weights with their JSON card, for an architecture by name or the
bundled one, or an exported program (`exported_program`). `train` continues from another one's
weights, `nearest` finds images that a classifier sees as alike, and makes the features of a
project's images for its orders. The folder `layers` names and splits the layers of a network.

A new architecture begins in `files`.
"""
