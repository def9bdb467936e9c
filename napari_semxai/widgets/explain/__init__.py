"""The Explain dock.

`dock` puts the panels together: `classifier_panel`, `heatmap_panel`, `concepts_panel` with its
`concept_list` and the settings tried, `masks_panel` with the pictures that masks are read out of.
Each panel calls one controller of `controllers.explain` and shows one part of the explanation
state.
"""
