"""The Mask candidates dock.

`dock` puts it together: `pickers` for the image and the network, with its download; the sliders
of Algorithm 1 and forms for what is seldom changed; `ranking` shows the candidates as a table and
who wins where on the plane of alpha and beta; `panels` chooses what images are compared with,
says how well that fits, and learns from the project's reviews. A welcome (`pickers`) stands in
their place until an image is open. Widgets call the controllers and show the session; they hold
no state of their own.
"""
