"""From an image to the automatic mask.

`segment` asks the engine for candidates and runs Algorithm 1 over them while sliders move; it
computes the second stage once for each winner, ahead of time. `download` fetches official
weights.

Data flow: dock -> `segment` -> engine or algorithm -> one value in the session -> layers and
docks.
"""
