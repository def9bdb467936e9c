"""A project on disk: plain files are the truth, each with one writer.

`project` is the door: it opens a folder and offers everything below. `files` says where things
lie, `images` is the table of images, `records` what is known of a mask and how a change makes a
new record, `masks` which mask counts. `create`, `imports` and `exports` bring images and masks
in and out; `originals` guards the files a project was made of. `locks` admits one writer per
annotator, `rescue` keeps what could not be written, `replaced` the reviews that an import
replaced. `agreement` compares annotators, `replay` repeats stored edits. The folder `index`
holds the cache that answers the queue's questions.

A new field of a record begins in `types.project` and `records`; a new export in `exports`.
"""
