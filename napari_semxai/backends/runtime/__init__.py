"""What all networks need of the process they run in.

`window_safe_import` loads compiled libraries so that a window in the same process survives;
`libraries` is the only place that imports OpenCV and xplique. `stepwise` turns a long call into
a generator that can stop, and makes libraries with global randomness repeatable. `tensor_files`
reads foreign weights without running code in them.
"""
