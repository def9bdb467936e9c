"""napari layers as views of the session."""
