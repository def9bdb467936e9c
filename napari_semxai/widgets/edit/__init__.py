"""The Edit & review dock.

`dock` holds the painting tools, whole-mask edits, saving and recovery; `click_panel` the SAM
click tool; `size_panel` the size of the defect and the pixel size. The panels of a project
(`widgets.project`) and the settings (`widgets.settings`) are placed in it. `closing` asks about
unsaved masks. A new tool begins in `dock`.
"""
