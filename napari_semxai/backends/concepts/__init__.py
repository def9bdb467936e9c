"""CRAFT: concepts that a classifier recognises a class by.

`craft` fits a bank: `crops` are cut and encoded, `factorize` runs xplique's factorization,
importances are estimated. `bank` is the file that results; `transform` applies it to an image
without xplique, `maps` draws where each concept is, `detail` makes those maps finer. `tuning`
tries settings.
"""
