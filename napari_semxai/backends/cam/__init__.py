"""Heat maps of the Grad-CAM family, and checks of them.

`gradcam` answers a request: it hooks the target layers, runs a method of `methods` and scales
its map. `dense_head` gives evidence at every place, to explain what lies inside a mask.
`faithfulness` (insertion, deletion, ROAD) and `sanity` (randomised weights, other class, noise)
test any map.

A new method is an entry in `types.explain` and a class in `methods`.
"""
