"""SAM 2: from an image to mask candidates, and from prompts to a mask.

`segmenter` is the door. `checkpoints` turns a name or path into a network (`bundled` is the one
that ships, with `lite_trunk` as its encoder). `image` encodes and remembers images. `generate`
decodes the grid coarse to fine in `batches`, `masks` measures each mask without a full-size
stack, `pool` collects them. `predict` answers prompts; `clicks` puts them to use on a mask at
hand. The folder `decoder` holds the fast mask decoder.

Another size of SAM 2 is an entry in `store.weights.models` and `checkpoints`.
"""
