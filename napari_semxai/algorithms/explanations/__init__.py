"""Explanations as arrays: from float maps to masks and scores; no network is needed here.

`masks` holds Algorithms 2 and 3 as published and thresholds on float maps. `localisation` gives
the scores that need no threshold, and Dice for every tau and delta from one sort. `concepts` works
on CRAFT's importances, matches concepts between fits, and chooses among settings by what came of
each.

A new way of turning a map into a mask begins in `masks`.
"""
