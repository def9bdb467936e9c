"""Images and masks on disk.

`read` opens an image of any format and depth without changing a value; it asks `tiff` for TIFF
pages, and `microscope` for what microscopes write in tags or in a text file beside an image.
`tiff_limits` looks at what a file claims before anything believes it. `masks` reads and writes
masks, those of other programs by one policy for what is foreground. `coco` does both for COCO
JSON, `coco_results` gives the lists of detectors their images. `mask_parts` keeps the objects
apart that a mask came in with. `references` finds the picture that an image is compared
with.

A new image format begins in `read` or `tiff`, a new microscope in `microscope`; what counts as
foreground in `masks`.
"""
