"""The image, its masks and what is drawn over them while editing.

`session_layers` shows the session's image and masks as napari layers. `mask_watch` follows the
pixels of a Labels layer whoever changes them and tells the controllers which box changed;
`comparison` does that for the two masks being scored, and shows the masks of other annotators
beside the image. `click_tool` takes SAM clicks, boxes and a line to measure, and shows them;
`lasso_tool` draws polygons and lassos; `step_layers` shows the steps of Algorithm 1, and what an
image is compared with.
"""
