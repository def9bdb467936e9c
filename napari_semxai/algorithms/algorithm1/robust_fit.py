"""Numbers of the robust variant, written by ``python -m training.robust``."""

COEFFICIENTS = (0.6069, 1.5401, 1.5446, -0.0361, -2.6359, -2.8563, 0.3787)
INTERCEPT = 5.2969
PRESENCE = (0.8964, 1.2264)
"""Slope and offset from the strongest component's log odds to those of a defect at all."""
