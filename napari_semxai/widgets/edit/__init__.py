"""The Edit & review dock.

`dock` holds the painting tools, whole-mask edits, saving and recovery; `panels` the SAM click
tool, and the size of the defect with the pixel size. The panels of a project
(`widgets.project`) and the settings (`widgets.settings`) are placed in it. `closing` asks about
unsaved masks. A new tool begins in `dock`.
"""
