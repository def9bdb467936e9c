"""What all networks need of the process they run in.

`window_safe_import` loads compiled libraries so that a window in the same process survives;
`opencv` and `xplique_import` are the only places that import those two. `seeding` makes libraries
with global randomness repeatable, `stepwise` turns a long call into a generator that can stop,
`tensor_files` reads foreign weights without running code in them.
"""
