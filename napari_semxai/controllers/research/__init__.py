"""Sweeps of the current image and runs over a data set.

`research` computes alpha and beta planes here; `runs` starts a ``semxai`` command in a process
of its own, follows it and reads what it left.
"""
