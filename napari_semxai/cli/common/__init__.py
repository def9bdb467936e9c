"""What several commands share.

`options` are arguments that decide a mask, `sources` says which images the inputs mean and
where results go, `datasets` opens data sets, `output` prints for people or programs. A new
argument of a mask begins in `options`.
"""
