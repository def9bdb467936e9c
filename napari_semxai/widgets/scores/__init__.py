"""The Scores dock.

`dock` shows one prediction against one truth, live; `comparison_panel` all predictions, with
Dice over the threshold of each map. Both show `session.readout` and the comparison state and
compute nothing themselves.
"""
