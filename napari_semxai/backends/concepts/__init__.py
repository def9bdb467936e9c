"""CRAFT: concepts that a classifier recognises a class by.

`craft` cuts and encodes crops and fits a bank, `factorize` runs xplique's factorization and
estimates importances. `bank` is the file that results, and applies it to an image without xplique;
`maps` draws where each concept is, and makes those maps finer. `tuning` tries settings.
"""
