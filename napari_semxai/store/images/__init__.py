"""Images and masks on disk.

`read` opens an image of any format and depth without changing a value; it asks `tiff` for TIFF
pages and for what microscopes write beside them (pixel size). `tiff_limits` looks at what a file
claims before anything believes it. `masks` reads and writes masks,
those of other programs by one policy for what is foreground. `coco` does both for COCO JSON,
`coco_results` gives the lists of detectors their images.
`mask_parts` keeps the objects apart that a mask came in with.

A new image format or tag begins in `read` or `tiff`; what counts as foreground in `masks`.
"""
