"""What runs over whole data sets read and leave on disk.

`dataset` pairs images with their true masks. `pools` keeps mask candidates, so that a sweep
asks the network once per image; `explanations` keeps the maps and masks of a method; `sweeps`
the results over alpha and beta; `survey` the answers of experts as CSV.
"""
