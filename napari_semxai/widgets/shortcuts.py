"""The keys of the workbench, in one place."""

from __future__ import annotations

SHORTCUTS = (
    ("Alt+G", "generate candidates"),
    ("Alt+M", "show or hide the mask"),
    ("Alt+B", "brush"),
    ("Alt+E", "erase"),
    ("Alt+C", "SAM click"),
    ("Alt+N", "SAM click on another object"),
    ("Alt+A", "apply the automatic mask"),
    ("Alt+S", "save the mask"),
    ("Alt+X", "show or hide explanations"),
    ("Alt+Shift+X", "next heat map of this image"),
)
"""Keys and what they do. Shift and Alt combinations: napari's layers take the plain letters."""
