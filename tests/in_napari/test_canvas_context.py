"""What a layer was drawn with is deleted in the context that drew it, whatever Qt did last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtGui import QOpenGLContext
from vispy.gloo.glir import GlirProgram

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QOpenGLWidget

    from napari_semxai.workbench import Workbench


@pytest.fixture
def deleted_in(monkeypatch: pytest.MonkeyPatch) -> list[QOpenGLContext | None]:
    """The context that was current as each program was deleted."""
    found: list[QOpenGLContext | None] = []
    delete = GlirProgram.delete

    def note(program: GlirProgram) -> None:
        found.append(QOpenGLContext.currentContext())
        delete(program)

    monkeypatch.setattr(GlirProgram, "delete", note)
    return found


def draw(canvas: QOpenGLWidget, qtbot: QtBot) -> None:
    """Draw the canvas, and wait until Qt has put the window together."""
    qtbot.waitExposed(canvas.window())
    canvas.repaint()
    qtbot.waitUntil(lambda: QOpenGLContext.currentContext() is not canvas.context())


@pytest.mark.parametrize("way", ["remove", "remove_selected", "clear"])
def test_a_layer_is_deleted_in_the_context_of_its_canvas(
    workbench: Workbench, deleted_in: list[QOpenGLContext | None], qtbot: QtBot, way: str
) -> None:
    viewer, layers = workbench.viewer, workbench.viewer.layers
    canvas = viewer.window._qt_viewer.canvas.native
    gone = [viewer.add_image(np.zeros((48, 64), np.uint8), name=name) for name in "ab"]
    viewer.add_labels(np.ones((48, 64), np.uint8))
    draw(canvas, qtbot)
    deleted_in.clear()
    if way == "remove":
        layers.remove(gone[0])
    elif way == "remove_selected":
        layers.selection = set(gone)
        layers.remove_selected()
    else:
        layers.clear()
    assert deleted_in
    assert {id(context) for context in deleted_in} == {id(canvas.context())}
