"""Settings inside the docks.

`shortcuts` holds every key of the workbench and what it does, and the table in which keys are
changed; `storage_panel` shows where files lie and clears caches. A new key is an entry in
`shortcuts`.
"""
