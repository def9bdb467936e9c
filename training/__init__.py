"""Recipe of the bundled SAM 2: data, training, evaluation. Not part of the wheel."""
