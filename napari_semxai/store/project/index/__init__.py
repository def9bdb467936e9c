"""The index of a project: a cache of its records, rebuilt from the files whenever they differ.

`open_project` is a project with its index, the images that were read last and what waits to be
written. `index` follows the files: their times tell which were written since. `database` opens
the SQLite file in the user's cache folder, and turns a filter and an order into SQL and rows.
Deleting the database loses nothing.

A new column of the queue is a field of `types.QueueRow`; tables and questions are made of these.
"""
