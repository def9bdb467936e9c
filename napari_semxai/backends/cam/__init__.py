"""Heat maps of the Grad-CAM family, and checks of them.

`gradcam` answers a request: it hooks the target layers, runs a method of `methods` and scales
its map; `Occlusion` and `Rise`, which need no gradients, are there too. `evaluation` tests any
map: insertion, deletion and ROAD, randomised weights, another class, noise.

A new method is an entry of `CAM_METHODS` in `types.explain`; one that the library lacks is also a
class here with the interface of the library's, such as a `Perturbation`.
"""
