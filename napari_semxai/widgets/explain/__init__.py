"""The Explain dock.

`dock` puts the panels together: `classifier_panel`, `heatmap_panel` with the `layer_tree`,
`concepts_panel` with `concept_list` and its `concept_row`s, `tuning_panel`, `masks_panel` and
`picture_panel`. Each panel calls one controller of `controllers.explain` and shows one part of
the explanation state.
"""
