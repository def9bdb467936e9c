"""Networks that learn the masks of a project, and prove that they are better.

`learn` is the door: it reads the reviews (`samples`), makes today's proposals, trains the head of
each fold (`train`), has each judge the images it was not trained on, and writes a new version, in
use where `napari_semxai.algorithms.statistics.acceptance` says so. `network` is what answers: the
bundled encoder, frozen, and the mean of the heads.
"""
