"""Panels of an open project, placed in the Edit & review dock.

`open_project` asks who reviews and which project. `queue_panel` shows where one is, over the
item model `queue_list`; `review_panel` takes the verdict and the comment. `annotators_panel`
shows what others say, `project_panel` exports, imports and names classes.
"""
