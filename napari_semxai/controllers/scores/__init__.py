"""Scores while anything changes.

`evaluate` follows one prediction against one truth. `comparison_table` does it for all masks
and maps of the image; `threshold_curves` gives Dice over their thresholds.
"""
