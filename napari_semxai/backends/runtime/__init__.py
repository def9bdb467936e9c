"""What all networks need of the process they run in.

`libraries` loads compiled libraries so that a window in the same process survives, and is the only
place that imports OpenCV and xplique. `stepwise` turns a long call into a generator that can stop,
and makes libraries with global randomness repeatable. `tensor_files` reads foreign weights without
running code in them.
"""
