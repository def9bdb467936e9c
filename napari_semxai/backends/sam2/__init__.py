"""SAM 2: from an image to mask candidates, and from prompts to a mask.

`segmenter` is the door. `checkpoints` turns a name or path into a network, also the bundled one,
whose encoder is `lite_trunk`. `image` encodes and remembers images. `generate` decodes the grid
coarse to fine in `batches`, on threads with one core each; `pool` measures each mask without a
full-size stack and collects them. `dense` maps defects by what the encoder sees. `clicks` puts
prompts to use on a mask at hand. The folder `decoder` holds the fast mask decoder.

Another size of SAM 2 is an entry in `store.weights.models` and `checkpoints`.
"""
