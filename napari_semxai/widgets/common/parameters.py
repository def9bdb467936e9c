"""Plain forms over frozen settings, made by magicgui."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from magicgui.backends._qtpy.widgets import FloatSpinBox, QBaseRangedWidget, SpinBox
from magicgui.widgets import Container, create_widget
from magicgui.widgets.bases import RangedWidget
from psygnal import Signal

from napari_semxai.widgets.common.numbers import NumberField, WholeField

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S")


class _Number(FloatSpinBox):
    """What magicgui asks of a field for numbers."""

    def __init__(self, **arguments: Any) -> None:
        QBaseRangedWidget.__init__(self, NumberField, **arguments)


class _Whole(SpinBox):
    """What magicgui asks of a field for whole numbers."""

    def __init__(self, **arguments: Any) -> None:
        QBaseRangedWidget.__init__(self, WholeField, **arguments)


class SettingsForm(Generic[S]):
    """A magicgui form with one entry for each field of a frozen dataclass.

    Parameters
    ----------
    settings : dataclass instance
        The values shown first.
    options : mapping of str to dict
        For each field its magicgui options: label, tooltip, limits, choices.
    """

    changed = Signal(object)
    """Emitted with the new settings when a person changed an entry."""

    def __init__(self, settings: S, options: Mapping[str, dict[str, Any]]) -> None:
        self._settings = settings
        self._container: Container[Any] = Container(labels=True)
        for field in fields(settings):  # type: ignore[arg-type]
            if field.name in options:
                self._container.append(_entry(field.name, settings, options[field.name]))
        self._container.margins = (0, 0, 0, 0)
        self._container.changed.connect(self._on_entry_changed)
        self.native = self._container.native

    def set_settings(self, settings: S) -> None:
        """Show other values, without telling."""
        self._settings = settings
        with self._container.changed.blocked():
            for entry in self._container:
                entry.value = getattr(settings, entry.name)

    @property
    def entries(self) -> list[Any]:
        """The magicgui widgets of the form."""
        return list(self._container)

    def __getitem__(self, name: str) -> Any:
        return self._container[name]

    def _on_entry_changed(self) -> None:
        values = {entry.name: entry.value for entry in self._container}
        self._settings = replace(self._settings, **values)  # type: ignore[type-var]
        self.changed.emit(self._settings)


def _entry(name: str, settings: object, options: dict[str, Any]) -> Any:
    label, value = options.get("label"), getattr(settings, name)
    rest = {key: option for key, option in options.items() if key not in ("label", "decimals")}
    if "choices" in rest:
        return create_widget(value=value, name=name, label=label, options=rest)
    kind = _Number if isinstance(value, float) else _Whole
    entry: Any = RangedWidget(widget_type=kind, value=value, name=name, label=label, **rest)
    if kind is _Number:
        entry.native.setDecimals(options["decimals"])
        entry.value = value
    return entry
