"""Explanations of the current image.

`explain` puts the others together over one engine and one `result_cache`. `classify` loads a
classifier and predicts; `heatmaps` and `concepts` ask for maps through `requests`, which
follows one kind of request. `masks` turns maps into masks while thresholds move, `recipe`
records it. `heat_names`, `concept_files` and `fit_masks` are small parts of these.
"""
