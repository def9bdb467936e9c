"""The layers of a classifier's network.

`outputs` lists them with the shape of what they give, `tree` arranges them for the dock and
names the one to begin with, `split` cuts a network behind a layer into g and h with f(x) =
h(g(x)).
"""
