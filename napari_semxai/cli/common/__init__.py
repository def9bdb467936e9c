"""What several commands share.

`options` are arguments and how they are parsed; those that decide a mask become its
`types.settings.MaskSettings`. `sources` says which images the inputs mean and where results go,
and opens data sets. `output` prints for people or programs, and turns what failed into the exit
code.

A new argument of a mask begins in `types.settings`, then `options`.
"""
