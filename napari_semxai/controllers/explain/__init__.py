"""Explanations of the current image.

`explain` puts the others together over one engine and one cache of its answers, and keeps the
masks equal to maps and thresholds. `classify` loads a classifier and predicts; `heatmaps` and
`concepts` ask for maps through `request_tracker`, which follows one kind of request and holds the
cache.

Everything beyond the panels sees a family of explanations as a `MapSource` (`sources`), which
names its maps and makes its masks: `HeatmapSource` in `heatmap_source`, the others
in `concept_sources`. A new family begins with an entry of `SOURCES` in `explain`.
"""
