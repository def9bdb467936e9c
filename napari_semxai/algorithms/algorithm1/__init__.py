"""Algorithm 1: one ground-truth mask from the mask candidates of an image.

`candidates` selects from a pool by predicted IoU, stability and overlap. `ground_truth` is the
paper: stage 1 ranks the candidates by centre distance and area (alpha, beta), stage 2 takes the
complement of the winner and keeps its largest component. `robust` is the other stage 2: all
defects, or none, with a confidence. It judges `suspects` by their `appearance` and by `evidence`,
the network's map or a difference, with fitted numbers. `edge_strips` finds the borders that both
leave out. `automatic` puts them together by all settings (`types.settings`): window, queue and
command line ask it alone.

`winner_map` answers "which candidate wins" for the whole plane of alpha and beta at once, so
that a slider is a look-up; `sweep` scores that plane against true masks.

`reference` compares an image with another picture or with itself, which `registration` brings to
where it lies.

A change of the rule begins in `ground_truth` or `robust`; what else may speak for a defect in
`evidence`; a new filter in `candidates`.
"""
