"""What runs over whole data sets read and leave on disk.

`dataset` pairs images with their true masks, and keeps what came of a run: the mask candidates
that a sweep asks the network for once per image, its plane over alpha and beta, the maps and masks
of a method of explanation, the names that a person gives to concepts. `survey` keeps the answers
of experts as CSV.
"""
