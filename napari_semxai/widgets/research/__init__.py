"""The Research dock.

`dock` shows sweeps of the current image, with curves and figures that can be saved for a
report; `run_panel` starts and follows runs over a data set. A new kind of run is an entry in
`run_panel.RUNS`.
"""
