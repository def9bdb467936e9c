"""Parts that several docks are made of.

`forms` holds small widgets, the helpers that connect them, the section that folds away and the
scrolled dock, which keeps the wheel from changing controls without focus. `progress_bar` starts,
shows and cancels a job, and hands the calls of job threads to the GUI thread. `layer_combo` picks
a layer; `figure_view` shows a figure drawn elsewhere; `status` is the one line for messages,
`numbers` are fields, sliders, and forms made from frozen settings with magicgui, and
`file_dialogs` asks for files and remembers folders by kind. `window` is about napari's window:
the room of the canvas, messages over it, keys that give it the focus back, and what is asked
before it closes.
"""
