"""Projects and reviews.

`projects` opens or makes one; `open_project` is what is open: files, index, `cache` of images
read, and what waits to be written. `queue` filters and steps, `review` goes to an image and
records what the annotator says of its mask; `review_writer` writes behind the window.
`image_opener` goes to an image from anywhere, through the project it belongs to. `pixel_size`
keeps a typed scale. `batch_masks` makes masks for the whole queue, `annotators` compares people,
`thumbnails` makes small pictures, `tools` exports and imports.
"""
