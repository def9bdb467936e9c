"""Panels of an open project, placed in the Edit & review dock.

`queue_panel` asks which project and who reviews, and shows where one is, over the item model
`queue_list`, which `gallery` shows as large pictures; `review_panel` takes the verdict and the
comment, shows what others say and accepts by an audit; `project_panel` exports, names classes
and imports, `dialogs` asks what an import left open and lists what a KLARF copy has otherwise;
the panel says where the program's files lie, too.
"""
