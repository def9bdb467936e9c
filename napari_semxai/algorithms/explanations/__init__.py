"""Explanations as arrays: from float maps to masks and scores; no network is needed here.

`masks` holds Algorithms 2 and 3 as published and thresholds on float maps. `threshold_curves`
gives Dice for every tau and delta from one sort, `localisation` the scores that need no
threshold. `concepts` works on CRAFT's importances and matches concepts between fits; `tuning`
chooses among CRAFT settings by what came of each.

A new way of turning a map into a mask begins in `masks`.
"""
