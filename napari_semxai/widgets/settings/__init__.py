"""Settings inside the docks.

`shortcuts` holds every key of the workbench and what it does, and the table in which keys are
changed. A new key is an entry there.
"""
