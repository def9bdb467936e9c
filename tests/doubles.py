"""Stand-ins for controllers: the tests are about what calls them."""


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
