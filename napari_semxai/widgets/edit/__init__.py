"""The Edit & review dock.

`dock` holds the painting tools, whole-mask edits, saving and recovery, and asks about unsaved
masks before the window closes; `panels` the SAM click tool, the list of defects, and the size with
the pixel size. The panels of a project (`widgets.project`) and the keys (`widgets.settings`) are
placed in it. A new tool begins in `dock`.
"""
