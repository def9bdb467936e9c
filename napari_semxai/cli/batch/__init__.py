"""Many images at once.

`batch` chooses how: in this process, in several, or on a Dask scheduler; it says how far the run
is, names what failed and does the rest. `workers` hands out chunks, survives workers that die, and
holds what a worker does with its chunk: the network is loaded once and results are written there.
It asks the learning engine, too.

What is done to an image is a `workers.Work`, a frozen value that can be sent to another process.
Another place to run begins in `workers`.
"""
