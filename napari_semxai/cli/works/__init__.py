"""What the commands do with one image; the commands themselves only read arguments and sum up.

`masks` makes a mask with its record, or its plane of alpha and beta. `explainers` makes
explanations and scores their faithfulness, with what `explain_setup` decides for all images.
`rendered` reads masks out of pictures of explanations, and draws such pictures. `evaluate`
scores, and makes and tunes what it scores. `record` is what all of them write beside a result, so
that a later run finds it and goes on.

A work is a value that can be sent to another process (`cli.batch`). A new one begins with a class
that has ``load`` and ``do``.
"""
