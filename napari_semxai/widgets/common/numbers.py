"""Fields that take numbers, and forms of them made from frozen settings.

Comma and point are the decimal point, and nothing typed is dropped.

Qt's own spin boxes read a number by the system's locale, in which a point may separate thousands,
and swallow what they do not know.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import psygnal
from magicgui.backends._qtpy.widgets import FloatSpinBox, QBaseRangedWidget, SpinBox
from magicgui.widgets import ComboBox, Container, create_widget
from magicgui.widgets.bases import RangedWidget
from qtpy.QtCore import QEvent, QLocale, QObject, Qt, Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QSpinBox,
    QToolTip,
    QWidget,
)
from superqt import QDoubleSlider
from superqt.utils import signals_blocked

from napari_semxai.types import InputError, colors
from napari_semxai.types.quantities import parse_length, parse_number
from napari_semxai.widgets.common.status import FittedWidth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QFocusEvent

S = TypeVar("S")
_NANO = 1e9
_STEPS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_PageDown: -10,
    Qt.Key.Key_PageUp: 10,
    Qt.Key.Key_Home: -math.inf,
    Qt.Key.Key_End: math.inf,
}
_FOCUSED = f"QSlider:focus {{ border: 1px solid {colors.SKY}; border-radius: 3px; }}"
# As much less padding as there is border, so that nothing moves.
FOCUS_FRAME = f"""
QPushButton:focus {{ border: 1px solid {colors.SKY}; padding: 3px; }}
QComboBox:focus {{ border: 1px solid {colors.SKY}; padding: 2px 9px 2px 7px; }}
QCheckBox::indicator:focus {{ border: 1px solid {colors.SKY}; padding: 0px; }}
"""
"""Style of a dock: napari's theme shows the focus of none of these."""
_WRONG = "QAbstractSpinBox { background-color: #b3261e; color: white; }"


class _NumberEntry:
    """What the fields share: any text can be typed; what is wrong is marked, and never taken.

    A part of a spin box class, before Qt's own.
    """

    problem: str
    """Why the last text was not taken; "" where nothing is wrong."""

    def _prepare(self: Any) -> None:
        self.problem, self._refused, self._tip = "", False, ""
        # Shown with a point on every system; a comma is read as one, too.
        locale = QLocale.c()
        locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
        self.setLocale(locale)
        # A value is taken when it is typed to its end: 0,8 is not first 0.
        self.setKeyboardTracking(False)
        self.lineEdit().textEdited.connect(self._on_edited)
        self.valueChanged.connect(self._on_edited)

    def parse(self, text: str) -> float:
        """Return the value of a text, or raise an `InputError`."""
        return parse_number(text)

    def setToolTip(self: Any, tip: str) -> None:
        """Explain the field."""
        self._tip = tip
        self._show()

    def validate(self: Any, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Let everything be typed, and mark what is wrong."""
        problem = self._problem_of(text)
        if not self._refused:
            self._mark(problem)
        # Never "invalid": Qt would swallow the key, and nobody would learn why.
        state = QValidator.State.Intermediate if problem else QValidator.State.Acceptable
        return state, text, position

    def fixup(self: Any, text: str) -> str:
        """Refuse, with the reason: the value stays what it was."""
        unset = self.value() == self.minimum() and self.specialValueText()
        kept = unset or self.textFromValue(self.value())
        self._mark(f"{self._problem_of(text)}; keeping {kept}")
        self._refused = True
        if self.isVisible():
            QToolTip.showText(self.mapToGlobal(self.rect().bottomLeft()), self.problem, self)
        return text

    def focusInEvent(self: Any, event: QFocusEvent) -> None:
        """Begin anew."""
        self._on_edited()
        super().focusInEvent(event)  # type: ignore[misc]

    def _value_of(self: Any, text: str) -> float:
        special = self.specialValueText()
        if special and text.strip() in ("", special):
            return float(self.minimum())
        # Typed beside the word that stands for no value.
        value = self.parse(text.replace(special, "") if special else text)
        low, high = self.minimum(), self.maximum()
        if not low <= value <= high:
            ends = f"{self.textFromValue(low)} to {self.textFromValue(high)}"
            raise InputError(f"“{text}” is outside {ends}")
        return float(value)

    def _problem_of(self: Any, text: str) -> str:
        try:
            self._value_of(text)
        except InputError as error:
            return str(error)
        return ""

    def _on_edited(self: Any) -> None:
        self._refused = False
        self._mark(self._problem_of(self.lineEdit().text()))

    def _mark(self: Any, problem: str) -> None:
        if problem != self.problem:
            # A style sheet is costly to set: only where its colour changes, not with every other
            # wording.
            if bool(problem) != bool(self.problem):
                self.setStyleSheet(_WRONG if problem else "")
            self.problem = problem
            self._show()

    def _show(self: Any) -> None:
        super().setToolTip(f"⚠ {self.problem}" if self.problem else self._tip)  # type: ignore[misc]


class NumberField(_NumberEntry, QDoubleSpinBox):
    """A number with a fixed number of decimals."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prepare()

    def parse(self, text: str) -> float:
        """Return the value of a text, or raise an `InputError`."""
        return self._short(text, super().parse(text))

    def valueFromText(self, text: str) -> float:
        """Return the value of a text that is right."""
        return self._value_of(text)

    def textFromValue(self, value: float) -> str:
        """Return the text of a value."""
        return f"{value:.{self.decimals()}f}"

    def _short(self, text: str, value: float) -> float:
        decimals = self.decimals()
        if not math.isclose(value, round(value, decimals), rel_tol=1e-9, abs_tol=1e-12):
            raise InputError(f"“{text}” has more than {decimals} decimals")
        return value


class WholeField(_NumberEntry, QSpinBox):
    """A whole number."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prepare()

    def parse(self, text: str) -> float:
        """Return the value of a text, or raise an `InputError`."""
        value = parse_number(text)
        # 1,000 may have been meant as a thousand.
        if value != round(value) or {".", ","} & set(text):
            raise InputError(f"“{text}” is not a whole number")
        return value

    def valueFromText(self, text: str) -> int:
        """Return the value of a text that is right."""
        return round(self._value_of(text))

    def textFromValue(self, value: int) -> str:
        """Return the text of a value."""
        return str(value)


class LengthField(NumberField):
    """A length in nanometres, typed in any unit; 0 is unknown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(0, 1e6)
        # Picometres and their fractions, which only a typed unit needs.
        self.setDecimals(6)
        self.setSpecialValueText("unknown")

    def parse(self, text: str) -> float:
        """Return the nanometres of a text, or raise an `InputError`."""
        return self._short(text, parse_length(text) * _NANO)

    def textFromValue(self, value: float) -> str:
        """Return the text of a value, with its unit."""
        return f"{f'{value:.6f}'.rstrip('0').rstrip('.')} nm"


class NumberSlider(QWidget):
    """A slider with its value beside it, which can be typed too; a double click resets it.

    Parameters
    ----------
    low, high : float
        The ends.
    default : float
        Where it stands first, and goes back to.
    decimals : int
        How the value is shown, and the step of the keys.
    tip : str
        The tooltip.
    """

    valueChanged = Signal(float)

    def __init__(
        self, low: float, high: float, *, default: float, decimals: int, tip: str
    ) -> None:
        super().__init__()
        self._default = default
        self.slider = QDoubleSlider(Qt.Orientation.Horizontal)  # type: ignore[no-untyped-call]
        self.slider.setRange(low, high)
        self.field = NumberField()
        self.field.setDecimals(decimals)
        self.field.setRange(low, high)
        self.field.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        FittedWidth(self.field, "888.888", 14)
        self.slider.setValue(default)
        self.slider.installEventFilter(self)
        # napari's themes do not show which slider has the keys.
        self.slider.setStyleSheet(_FOCUSED)
        back = f"{default:.{decimals}f}"
        for part in (self.slider, self.field):
            part.setSingleStep(10.0**-decimals)
            part.setToolTip(f"{tip}. Double-click the slider to reset it to {back}")
        self.setFocusProxy(self.slider)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, stretch=1)
        layout.addWidget(self.field)
        self.slider.valueChanged.connect(self._on_slider_moved)
        self.field.valueChanged.connect(self.slider.setValue)
        self._on_slider_moved(self.slider.value())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Go back to the default at a double click; move by keys, which superqt's do not."""
        # Its first click has moved the slider already.
        if event.type() == QEvent.Type.MouseButtonDblClick:
            self.slider.setValue(self._default)
            return True
        if event.type() == QEvent.Type.KeyPress and event.key() in _STEPS:
            moved = self.value() + _STEPS[event.key()] * self.field.singleStep()
            low, high = self.slider.minimum(), self.slider.maximum()
            self.slider.setValue(round(min(max(moved, low), high), self.field.decimals()))
            return True
        return False

    def value(self) -> float:
        """Return the value."""
        return float(self.slider.value())

    def setValue(self, value: float) -> None:
        """Show another value."""
        self.slider.setValue(value)

    def maximum(self) -> float:
        """Return the upper end."""
        return float(self.slider.maximum())

    def _on_slider_moved(self, value: float) -> None:
        # The field rounds to its decimals; told, the slider would jump to the rounded value
        # while it is dragged.
        with signals_blocked(self.field):
            self.field.setValue(value)
        self.valueChanged.emit(value)


def whole_field(low: int, high: int, tip: str) -> WholeField:
    """Return a field for whole numbers from `low` to `high`."""
    field = WholeField()
    field.setRange(low, high)
    field.setToolTip(tip)
    return field


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
        For each field to show, in this order, its magicgui options: label, tooltip, limits,
        choices.
    """

    changed = psygnal.Signal(object)
    """Emitted with the new settings when a person changed an entry."""

    def __init__(self, settings: S, options: Mapping[str, dict[str, Any]]) -> None:
        self._settings = settings
        self._container: Container[Any] = Container(labels=True)
        for name, option in options.items():
            self._container.append(_entry(name, settings, option))
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
        # `create_widget` would offer an entry "-----" beside the one that stands for None.
        return ComboBox(value=value, name=name, label=label, **rest)
    if isinstance(value, bool):
        return create_widget(value=value, name=name, label=label, options=rest)
    kind = _Number if isinstance(value, float) else _Whole
    entry: Any = RangedWidget(widget_type=kind, value=value, name=name, label=label, **rest)
    if kind is _Number:
        entry.native.setDecimals(options["decimals"])
        entry.value = value
    return entry
