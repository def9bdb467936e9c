"""The layers of a classifier's network.

`outputs` lists them with the shape of what they give. `split` cuts a network behind a layer into g
and h with f(x) = h(g(x)), tells the dock what each layer can be used for, and names the one to
begin with.
"""
