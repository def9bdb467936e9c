"""One file for each ``semxai`` command: its arguments and its exit code.

Each file has ``add_parser`` and ``run``; `cli.entry` lists them. What is done with an image is
in `cli.works`, how many are done at once in `cli.batch`.
"""
