"""What a project asks and tells in windows of its own: imports, and copies of KLARF files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.algorithms.masks.foreground import OFFERED, RULES, parse_rule
from napari_semxai.store.project.klarf_export import KlarfChoices
from napari_semxai.store.sources.klarf import is_known
from napari_semxai.store.sources.klarf_grammar import is_number
from napari_semxai.types import ReviewState
from napari_semxai.types.quantities import counted
from napari_semxai.widgets.common.forms import WheelGuard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_semxai.controllers.project.tools import Imported
    from napari_semxai.store.project.imports import ImportChoices
    from napari_semxai.store.project.klarf_export import KlarfEdit, KlarfOffer

_NAMED = 3
_LEAVE_OUT = "leave out"
_LEFT = "left as it is"
_LENGTH = 20
_FIXED = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
_SIZES = {
    "XSIZE": "Width of the mask's box",
    "YSIZE": "Height of the mask's box",
    "DSIZE": "Largest extent of the mask",
    "DEFECTAREA": "Area of the mask",
}


class ImportQuestions(QDialog):
    """Asks about masks that replace reviews, are unclear, or have no annotation.

    Nothing is ticked at first: what nobody decides stays as it is.

    Parameters
    ----------
    imported : Imported
        What was brought in, and what was left out.
    parent : QWidget
        Under what it is shown.
    """

    def __init__(self, imported: Imported, parent: QWidget) -> None:
        super().__init__(parent)
        self._imported = imported
        self.setWindowTitle("Import masks")
        layout = QVBoxLayout(self)
        self.replace = QCheckBox(
            f"Replace {len(imported.reviewed):,} of your reviews ({_some(imported.reviewed)}); "
            "the old ones can be restored"
        )
        self.rule = QComboBox()
        self.rule.setEditable(True)
        self.rule.addItems((_LEAVE_OUT, *OFFERED))
        self.rule.setToolTip(f"Defect pixels: {RULES}")
        self.unannotated = QCheckBox(
            f"{len(imported.unannotated):,} images without annotation are without defect "
            f"({_some(imported.unannotated)})"
        )
        self.problem = QLabel()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        for part in self._parts():
            layout.addWidget(part)
        layout.addWidget(self.problem)
        layout.addWidget(buttons)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)

    @property
    def choices(self) -> ImportChoices | None:
        """How to bring in what a person decided; None where nothing is to be brought in.

        Raises
        ------
        ValueError
            When no rule is named by what was typed.
        """
        imported, typed = self._imported, self.rule.currentText().strip()
        unclear = None if typed in ("", _LEAVE_OUT) else parse_rule(typed)
        # Only what was asked about: all else of the import is written already.
        names = {
            *(imported.reviewed if self.replace.isChecked() else ()),
            *(imported.unclear if unclear is not None else ()),
            *(imported.unannotated if self.unannotated.isChecked() else ()),
        }
        if not names:
            return None
        return replace(
            imported.choices,
            replace=self.replace.isChecked(),
            unannotated=self.unannotated.isChecked(),
            unclear=unclear,
            only=frozenset(names),
        )

    def accept(self) -> None:
        """Close, unless a rule was typed that is none."""
        try:
            # Reading it is what checks the rule.
            _ = self.choices
        except ValueError as error:
            self.problem.setText(f"⚠ {error}")
            return
        super().accept()

    def _parts(self) -> Sequence[QWidget]:
        """Return the widgets of the questions that there are."""
        imported = self._imported
        parts: list[QWidget] = []
        if imported.reviewed:
            parts.append(self.replace)
        if imported.unclear:
            first = imported.failed[imported.unclear[0]]
            label = QLabel(
                f"{len(imported.unclear):,} masks can be read in two ways, for example {first}\n"
                "Pixels that are the defect in them:"
            )
            label.setWordWrap(True)
            parts += [label, self.rule]
        if imported.unannotated:
            parts.append(self.unannotated)
        return parts


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class KlarfQuestions(QDialog):
    """Asks what goes into a copy of a KLARF file: class by class, and sizes.

    Parameters
    ----------
    offer : KlarfOffer
        What the file lets one choose.
    chosen : mapping
        Of the last time, as the project keeps it; begun with where it fits.
    parent : QWidget
        Under what it is shown.
    """

    def __init__(self, offer: KlarfOffer, chosen: Mapping[str, Any], parent: QWidget) -> None:
        super().__init__(parent)
        self._offer = offer
        self.setWindowTitle("KLARF copy")
        self._create(chosen)
        self._lay_out()
        for number in self.numbers.values():
            number.currentTextChanged.connect(self._on_changed)
        self.unknown.toggled.connect(self._on_changed)
        self._on_changed()

    @property
    def choices(self) -> KlarfChoices:
        """What was chosen."""
        return KlarfChoices(
            source=self._offer.source,
            column=self.column.currentText(),
            numbers={
                label: number
                for label, number in self._numbers().items()
                if number or (label != ReviewState.NO_DEFECT and self._is_left(label))
            },
            sizes=tuple(name for name, box in self.sizes.items() if box.isChecked()),
            unknown=self.unknown.isChecked(),
        )

    def _numbers(self) -> dict[str, str]:
        """Return the number that each text begins with; "" without one."""
        words = {label: box.currentText().split() for label, box in self.numbers.items()}
        return {
            label: word[0] if word and is_number(word[0]) else "" for label, word in words.items()
        }

    def _is_left(self, label: str) -> bool:
        return self.numbers[label].currentText().strip() in ("", _LEFT)

    def _create(self, chosen: Mapping[str, Any]) -> None:
        offer = self._offer
        self.column = QComboBox()
        self.column.addItems(offer.columns)
        self.column.setCurrentText(chosen.get("column", ""))
        self.column.setToolTip("Column of the file that classes are written into")
        said = chosen.get("numbers", {})
        offered = [_LEFT, *map(self._class_text, offer.lookup)]
        self.numbers, self.marks = dict[str, QComboBox](), dict[str, QLabel]()
        for label, _, _, number in offer.classes:
            box = self.numbers[label] = QComboBox()
            box.setEditable(True)
            box.addItems(offered)
            # A completed text would be another number than the typed one.
            box.setCompleter(None)
            box.setCurrentText(self._class_text(said.get(label, number)) or _LEFT)
            box.setSizeAdjustPolicy(_FIXED)
            box.setMinimumContentsLength(_LENGTH)
            box.lineEdit().setCursorPosition(0)
            box.setToolTip("Class of the file; a number can be typed, too")
            self.marks[label] = QLabel()
        self.unknown = QCheckBox("Write classes that the file does not know, too")
        self.unknown.setChecked(bool(chosen.get("unknown")))
        self.sizes = {name: QCheckBox(name) for name in offer.sizes}
        for name, box in self.sizes.items():
            box.setToolTip(_SIZES[name])
            box.setChecked(name in chosen.get("sizes", ()))

    def _lay_out(self) -> None:
        offer, inner, rows = self._offer, QWidget(), QGridLayout()
        for place, title in enumerate(("Class", "Reviews", "Written as", "")):
            rows.addWidget(QLabel(f"<b>{title}</b>"), 0, place)
        for row, (label, name, count, _) in enumerate(offer.classes, start=1):
            parts = (QLabel(f"{label} {name}".strip()), QLabel(f"{count:,}"))
            for place, part in enumerate((*parts, self.numbers[label], self.marks[label])):
                rows.addWidget(part, row, place)
        rows.setColumnStretch(3, 1)
        rows.setRowStretch(len(offer.classes) + 1, 1)
        inner.setLayout(rows)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(inner)
        layout, form = QVBoxLayout(self), QFormLayout()
        layout.addWidget(
            QLabel(f"{offer.source.name}: only what is chosen here differs in the copy.")
        )
        form.addRow("Column of the class", self.column)
        layout.addLayout(form)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.unknown)
        if self.sizes:
            boxes = QHBoxLayout()
            boxes.addWidget(QLabel("Sizes and areas, too:"))
            for box in self.sizes.values():
                boxes.addWidget(box)
            boxes.addStretch(1)
            layout.addLayout(boxes)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Export…")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
        # The wheel is for the list, not for what stands under the pointer.
        self._guard = WheelGuard(scroll)
        self.resize(720, 440)

    def _class_text(self, number: str) -> str:
        return f"{number} {self._offer.lookup.get(number, '')}".strip()

    def _on_changed(self) -> None:
        for label, number in self._numbers().items():
            lacks = bool(number) and not is_known(number, self._offer.lookup)
            said = "⚠ not in the file" if lacks else "" if number else "⚠ no number"
            what = "written" if lacks and self.unknown.isChecked() else "not written"
            quiet = not said or self._is_left(label)
            self.marks[label].setText("" if quiet else f"{said}; {what}")


def show_klarf_changes(
    parent: QWidget, target: Path, edits: Sequence[KlarfEdit], failed: Mapping[str, str]
) -> None:
    """Show every cell that a copy of a KLARF file has otherwise, and what was left and why."""
    box = QMessageBox(parent)
    # Not modal for the program: nobody has to answer.
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle("KLARF copy")
    left = f"\nNot all of {counted(len(failed), 'image')} was written; see why below."
    changed = f"{target.name}: {counted(len(edits), 'value')} changed."
    box.setText(changed + left * bool(failed))
    box.setDetailedText("\n".join([*map(str, edits), *failed.values()]))
    box.open()
