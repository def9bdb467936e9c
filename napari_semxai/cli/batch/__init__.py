"""Many images at once.

`batch` chooses how: in this process, in several, or on a Dask scheduler. `workers` hands out
chunks and survives workers that die, `tasks` is what a worker does with a chunk, `run_each`
names what failed and does the rest.
"""
