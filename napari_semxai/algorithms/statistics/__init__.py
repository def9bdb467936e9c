"""Statistics over many images, annotators or participants.

`evaluation` summarises scores of methods over a data set and `paired` compares two of them on
the same images. `classification` scores and calibrates classifiers and splits their data.
`agreement` compares annotators and gives the majority mask. `gate` judges what was learned,
`ranking` orders images by what a network sees in them, `certificate` says what an audit of some
proves of the others, `suspects` which reviewed masks look wrong, and why. `survey` evaluates the
satisfaction scale.

A new figure of an evaluation table begins in `evaluation`.
"""
