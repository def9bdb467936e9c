"""Small pieces that several docks are made of, the dock that holds them, guards of the mouse."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QPointF, QSize, Qt, Signal
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFrame,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from qtpy.QtCore import QPoint
    from qtpy.QtGui import QResizeEvent
    from qtpy.QtWidgets import QLayout

    from napari_semxai.controllers.kept_settings import ChoicesController

    Connections = tuple[tuple[Any, Callable[..., object]], ...]

FIELDS = (QLineEdit, QComboBox, QAbstractSpinBox)
"""What a person types into, or picks from."""
_OPEN, _FOLDED = "open", "folded"
_HEADER = "* { text-align: left; padding: 2px 6px; } *:focus { padding: 1px 5px; }"
MASK_FILTER = "Masks (*.png *.tif *.tiff)"
IMAGE_FILTER = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp)"
MASK_SET_FILTER = "COCO JSON and tables (*.json *.csv *.tsv);;All files (*)"
TABLE_FILTER = "KLARF and tables (*.klarf *.klf *.001 *.000 *.csv *.tsv);;All files (*)"


def button(text: str, tip: str, *, checkable: bool = False) -> QPushButton:
    """Return a push button with a tooltip."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    return made


def editable_box(tip: str) -> QComboBox:
    """Return a narrow combo box that takes other texts than those it offers."""
    box = QComboBox()
    box.setEditable(True)
    box.setToolTip(tip)
    box.setMinimumContentsLength(8)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box


def offer(box: QComboBox, texts: Iterable[str]) -> None:
    """Offer each text once and leave what is written."""
    wanted = [text for text in dict.fromkeys(texts) if text]
    # Refilling would close a list that a person has just opened.
    if [box.itemText(index) for index in range(box.count())] == wanted:
        return
    with signals_blocked(box):
        # Clearing takes the text along, which may be one that is typed and not on offer.
        written = box.currentText()
        box.clear()
        box.addItems(wanted)
        box.setCurrentText(written)


def note(text: str = "") -> QLabel:
    """Return a label for running text that wraps and can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def set_note(label: QLabel, text: str) -> None:
    """Show running text; without any the label takes no room."""
    label.setText(text)
    label.setVisible(bool(text))


def set_bar(bar: QProgressBar, value: int) -> None:
    """Move a progress bar; it is painted when Qt next paints.

    ``setValue`` alone paints at once, beside the canvas at tens of milliseconds a bar.
    """
    bar.setUpdatesEnabled(False)
    bar.setValue(value)
    bar.setUpdatesEnabled(True)


def group(title: str, *contents: QWidget) -> QGroupBox:
    """Return a titled box with `contents` below each other."""
    box = QGroupBox(title)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(6, 4, 6, 4)
    for content in contents:
        layout.addWidget(content)
    return box


def page(*contents: QWidget) -> QWidget:
    """Return a page of tabs with `contents` below each other, at its top."""
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(4, 4, 4, 4)
    for content in contents:
        layout.addWidget(content)
    layout.addStretch()
    return made


def row(holder: QWidget, *parts: QWidget) -> QWidget:
    """Put widgets beside each other into `holder`, and return it."""
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)
    return holder


class Section(QWidget):
    """A part of a dock that folds away under its title.

    Parameters
    ----------
    title : str
        Stands on the button that folds it; the state is remembered by it.
    contents : QWidget
        What it holds, below each other.
    tip : str
        What that is, as the button's tooltip.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, *contents: QWidget, tip: str = "") -> None:
        super().__init__()
        self.title, self._tip = title, tip
        self.header = button("", "", checkable=True)
        self.header.setStyleSheet(_HEADER)
        self.body = page(*contents)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.header)
        layout.addWidget(self.body)
        self.header.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    def open(self, opened: bool = True) -> None:
        """Fold it out, or away."""
        self.header.setChecked(opened)

    def _on_toggled(self, opened: bool) -> None:
        self.header.setText(f"{'▾' if opened else '▸'} {self.title}")
        self.header.setToolTip(self._tip or f"{'Fold' if opened else 'Show'} {self.title}")
        self.body.setVisible(opened)
        self.toggled.emit(opened)


class Connected:
    """What is connected by tables, and told when its dock goes.

    A docked widget is told when it is destroyed, never when it closes; whoever made it calls
    `release` then.
    """

    _outside: Connections = ()

    def connect_all(self, *, outside: Connections, inside: Connections) -> None:
        """Connect (signal, slot) pairs: of what outlives this widget, and of its own parts."""
        # Kept for `release`: napari does not close a dock, it removes it, and `closeEvent` never
        # comes.
        self._outside = outside
        for signal, slot in (*outside, *inside):
            signal.connect(slot)

    def release(self) -> None:
        """Disconnect from everything that outlives this widget.

        Qt itself takes back what its own parts are connected to; they may be gone already.
        """
        outside, self._outside = self._outside, ()
        for signal, slot in outside:
            signal.disconnect(slot)


class Panel(Connected, QWidget):
    """A part of a dock."""


class ScrolledDock(Connected, QScrollArea):
    """A dock that scrolls instead of pushing the window off a small screen.

    Subclasses make their parts, `add` them and `connect_all`.
    """

    painted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.foot: QWidget | None = None
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # One that came and went would make all parts narrower and wider.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        body = QWidget()
        self.column = QVBoxLayout(body)
        self.column.setContentsMargins(3, 4, 3, 4)
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setWidget(body)
        self._guard = WheelGuard(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell when the parts are painted: Qt has no other sign of a tab coming to the front."""
        if event.type() == QEvent.Type.Paint:
            self.painted.emit()
        return bool(super().eventFilter(watched, event))

    @property
    def on_screen(self) -> bool:
        """Whether a person can see it; Qt only moves docks behind other tabs out of the window."""
        # `isVisible` is true for a tab behind others, too.
        return not self.widget().visibleRegion().isEmpty()

    def minimumSizeHint(self) -> QSize:
        """Return a size as wide as the parts need; their height scrolls."""
        width = self.widget().minimumSizeHint().width()
        return QSize(width + self.verticalScrollBar().sizeHint().width(), 120)

    def set_foot(self, foot: QWidget) -> None:
        """Keep a widget below what scrolls: it is seen wherever the dock is scrolled to."""
        self.foot = foot
        foot.setParent(self)
        self.setViewportMargins(0, 0, 0, foot.sizeHint().height())
        foot.show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay the foot along the lower edge."""
        super().resizeEvent(event)
        if self.foot is not None:
            height = self.foot.sizeHint().height()
            # Its font is known once it is shown, which may be a larger one.
            if self.viewportMargins().bottom() != height:
                self.setViewportMargins(0, 0, 0, height)
            self.foot.setGeometry(4, self.height() - height, self.viewport().width() - 8, height)

    def add(self, parts: Iterable[QWidget]) -> None:
        """Put widgets below each other."""
        for part in parts:
            self.column.addWidget(part)

    def keep_sections(self, choices: ChoicesController) -> None:
        """Fold its sections as they were left, and remember how they are left."""
        for section in self.findChildren(Section):
            name = f"section {section.title}"
            section.open(choices.get(name) == _OPEN)
            section.toggled.connect(partial(_keep, choices, name))

    def connect_all(self, *, outside: Connections, inside: Connections) -> None:
        """Connect (signal, slot) pairs, and let Tab go through the parts as they are read."""
        super().connect_all(outside=outside, inside=inside)
        # Qt goes by when a part was made, which says nothing of where it lies.
        parts = list(_in_reading_order(self.column))
        for part in parts:
            # Nor does it stay in a table or a text.
            if isinstance(part, QAbstractItemView):
                part.setTabKeyNavigation(False)
            elif isinstance(part, QTextEdit | QPlainTextEdit):
                part.setTabChangesFocus(True)
        for before, after in pairwise(parts):
            QWidget.setTabOrder(before, after)


def _keep(choices: ChoicesController, name: str, opened: bool) -> None:
    choices.set(name, _OPEN if opened else _FOLDED)


def _in_reading_order(layout: QLayout) -> Iterator[QWidget]:
    """Yield what Tab stops at within a layout, row by row."""
    places = list(range(layout.count()))
    if isinstance(layout, QGridLayout):
        places.sort(key=lambda place: layout.getItemPosition(place)[:2])
    for place in places:
        item = layout.itemAt(place)
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            inner = widget.layout()
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                yield widget
        if inner is not None:
            yield from _in_reading_order(inner)


class WheelGuard(QObject):
    """Keeps the wheel from the controls of a dock, those of today and those that come later.

    Qt tells of a control that comes later when it is first about to be shown. Its constructor
    would be too early: Qt sets focus policies later.

    Parameters
    ----------
    area : QScrollArea
        What scrolls; it has its body already.
    """

    def __init__(self, area: QScrollArea) -> None:
        super().__init__(area)
        self._area, self._body = area, area.widget()
        self._guard(self._body)

    def eventFilter(self, watched: QWidget, event: QEvent) -> bool:
        """Give the wheel over what has no focus to the area."""
        kind = event.type()
        if kind == QEvent.Type.ChildPolished:
            # Not `event.child()`: PyQt may take the event for one that lay in the same place.
            self._guard(watched)
        elif kind == QEvent.Type.Wheel and not self._has_focus(watched):
            self._area.wheelEvent(event)
            return True
        return False

    def _guard(self, parent: QWidget) -> None:
        for part in (parent, *parent.findChildren(QWidget)):
            # Qt gives the focus by the wheel before any filter sees it.
            if part.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            # Again does no harm: Qt keeps one filter of a kind.
            part.installEventFilter(self)

    def _has_focus(self, part: QWidget) -> bool:
        if part is self._body or part.window() is not self._body.window():
            # The area's own, or the list that a combo box opens.
            return True
        focus = QApplication.focusWidget()
        # A click on a dock's tab gives the focus to the window, which holds every control.
        if focus is None or not self._body.isAncestorOf(focus):
            return False
        return focus is part or focus.isAncestorOf(part) or part.isAncestorOf(focus)


class WholeStrokes(QObject):
    """Lets a stroke, a box or an outline end where the button is let go.

    VisPy leaves out motions within 10 ms of one another, napari holds them back for 5 ms, and a
    busy window gets to several at once: of a quick stroke only its first place would be painted.

    Parameters
    ----------
    canvas : QWidget
        VisPy's, which shows the images.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._pressed: QPoint | None = None
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move to the place of a release before it; a click without any motion stays one."""
        if event.type() == QEvent.Type.MouseButtonPress:
            self._pressed = event.pos()
        elif event.type() == QEvent.Type.MouseButtonRelease and self._pressed is not None:
            if event.pos() != self._pressed:
                watched._last_time = 0
                watched.mouseMoveEvent(_motion_to(event))
                # napari's, which would move there after the release.
                for held in watched._vispy_canvas.events.mouse_move.callbacks:
                    if hasattr(held, "flush"):
                        held.flush()
            self._pressed = None
        return False


def _motion_to(release: QMouseEvent) -> QMouseEvent:
    """Return the motion to where a button is let go, with the button still down."""
    place, still = release.pos(), Qt.MouseButton.NoButton
    down = release.buttons() | release.button()
    return QMouseEvent(QEvent.Type.MouseMove, QPointF(place), still, down, release.modifiers())
