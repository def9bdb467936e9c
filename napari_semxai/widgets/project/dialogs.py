"""What a project asks and tells in windows of its own: imports, and copies of KLARF files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.algorithms.masks.foreground import OFFERED, RULES, parse_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_semxai.controllers.project.tools import Imported
    from napari_semxai.store.project.imports import ImportChoices
    from napari_semxai.store.project.klarf_export import KlarfEdit

_NAMED = 3
_LEAVE_OUT = "leave out"


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


def show_klarf_changes(
    parent: QWidget, target: Path, edits: Sequence[KlarfEdit], failed: Mapping[str, str]
) -> None:
    """Show every cell that a copy of a KLARF file has otherwise, and what was left and why."""
    box = QMessageBox(parent)
    # Not modal for the program: nobody has to answer.
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle("KLARF copy")
    left = f"\n{len(failed):,} defects were left as they were." if failed else ""
    box.setText(f"{target.name}: {len(edits):,} values differ from the original.{left}")
    box.setDetailedText("\n".join([*map(str, edits), *failed.values()]))
    box.open()
