"""Parts that several docks are made of.

`forms` holds small widgets, the helpers that connect them and the scrolled dock, which keeps the
wheel from changing controls without focus; `parameters` makes forms from frozen settings with
magicgui. `progress_bar` starts, shows and cancels a job, and hands the calls of job threads to
the GUI thread. `layer_combo` picks a layer; `figure_view` shows a figure drawn elsewhere;
`status` is the one line for messages, `numbers` are fields and sliders, and `file_dialogs` asks
for files and remembers folders by kind.
"""
