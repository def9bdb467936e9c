"""napari layers as views of the session.

`placement` is where one layer lies, `layout` keeps all layers of a viewer on the current image's
picture, `owned_layers` makes the Labels layers that go with one image. On them stand the folder
`mask`, the image and what is edited over it, and above that `explain`. `files` writes layers for
napari's own save dialog.
"""
