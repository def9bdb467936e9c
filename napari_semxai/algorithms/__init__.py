"""Arrays in, arrays out: the published algorithms and what they stand on.

SciPy and scikit-image are used by their full names, ``scipy.ndimage.label``: they import a part
when it is first used, and the window opens without waiting for it.
"""
