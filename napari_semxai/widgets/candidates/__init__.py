"""The Mask candidates dock.

`dock` puts it together: `image_picker`, `model_picker` with `download_panel`, the sliders of
Algorithm 1, `table`, `winner_map` and `advanced_forms`. `welcome` stands in their place until
an image is open. Widgets call the segment controller and show the session; they hold no state
of their own.
"""
