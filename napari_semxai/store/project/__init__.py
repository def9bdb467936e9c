"""A project on disk: plain files are the truth, each with one writer.

`project` is the door: it opens a folder and offers everything below. `files` says where things
lie, admits one writer per annotator, and says how recipes are stored; `images` is the table of
images, and guards the files a project was made of; `records` is what is known of a mask, how a
change makes a new record, and what an import replaced, `review_list` which were written; `masks`
says which mask counts, compares annotators and repeats stored edits. `create`, `imports` and
`exports` bring images and masks in and out, `klarf_export` into a copy of a KLARF file. `rescue`
keeps in files what could not be written. `learned` holds the versions of what was learned from the
masks, and what the network sees in each image, `certificates` what may be accepted unseen, and
`ranked` the orders that are worked out of these. `verify` finds what was changed outside the
program, by digests, and lists exports. The folder `index` holds the cache that answers the queue's
questions.

A new field of a record begins in `types.project` and `records`; a new export in `exports`.
"""
