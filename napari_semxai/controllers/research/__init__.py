"""Sweeps of the current image and runs over a data set.

`research` computes alpha and beta planes here; `runs` starts a ``semxai`` command in a process
of its own and follows it; `results` reads what such a run left.
"""
