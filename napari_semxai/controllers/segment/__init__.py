"""From an image to the automatic mask.

`segment` asks the engine for candidates. `candidates` filters and ranks them by Algorithm 1 while
sliders move, computes the second stage once for each winner, ahead of time, and keeps the
candidates of images that were left. `download` fetches official weights.

Data flow: dock -> `segment` -> engine -> `candidates` -> one value in the session -> layers and
docks.
"""
