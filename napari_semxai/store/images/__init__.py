"""Images and masks on disk.

`read` opens an image of any format and depth without changing a value; it asks `tiff` for TIFF
pages, and `microscope` for what microscopes write in tags or in a text file beside an image.
`tiff_limits` looks at what a file claims before anything believes it. `masks` reads and writes
masks, those of other programs by one policy for what is foreground. `coco` does both for COCO
JSON. `mask_parts` keeps the objects apart that a mask came in with, as COCO has them, and gives
the lists of detectors their images. `companions` are the pictures beside an image or a mask: the
reference that it is compared with, and what of it is ignored.

A new image format begins in `read` or `tiff`, a new microscope in `microscope`; what counts as
foreground in `masks`.
"""
