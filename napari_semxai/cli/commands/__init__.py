"""One file for each ``semxai`` command: its arguments and its exit code.

Each file has ``add_parser`` and ``run``. What is done with an image is in `cli.works`, how many
are done at once in `cli.batch`; `common` <- `batch` <- `works` <- `commands` is the order of
imports. A new command is a file here and its name in `cli.entry`.
"""
