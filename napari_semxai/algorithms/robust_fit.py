"""Numbers of the robust variant, written by ``python -m training.robust``."""

COEFFICIENTS = (0.7411, 1.3377, 0.4283, -0.0577, -0.8405, -1.9142, -1.5159)
INTERCEPT = 1.9786
PRESENCE = (0.9245, 1.5233)
"""Slope and offset from the strongest component's log odds to those of a defect at all."""
