"""Stand-ins for controllers: the tests are about what calls them."""

from psygnal import Signal


class Edit:
    """Stands in for the edit controller: the test is about the layers."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append(name)


class Controller:
    """Stands in for any controller and notes its calls."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments, **keywords: self.calls.append((name, arguments, keywords))


class FakeRuler:
    """Stands in for the tool that measures a line on the canvas."""

    active_changed, measured = Signal(bool), Signal(object)

    def __init__(self):
        self.calls = []

    def activate(self, wanted):
        self.calls.append(wanted)


class RecordedMarks:
    """Where outlines are drawn, without a canvas: keeps what was drawn last."""

    def __init__(self):
        self.path, self.corners = None, None

    def show(self, layer, path, corners):
        self.path, self.corners = path, corners

    def hide(self):
        self.path, self.corners = None, None
