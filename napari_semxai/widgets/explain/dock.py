"""The Explain dock: classifier and class, heat maps, concepts and the masks they give."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_semxai.widgets.common.forms import ScrolledDock, Section, group
from napari_semxai.widgets.explain.classifier_panel import ClassifierPanel
from napari_semxai.widgets.explain.concepts_panel import ConceptsPanel, TuningPanel
from napari_semxai.widgets.explain.heatmap_panel import GradcamPanel
from napari_semxai.widgets.explain.masks_panel import MasksPanel, PicturePanel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.explain.explain import Explaining
    from napari_semxai.layers.explain.explanations import ExplanationLayers, Look
    from napari_semxai.state.explanation import ExplanationMaskSettings
    from napari_semxai.state.session import Session
    from napari_semxai.widgets.common.forms import Connections

SHOWN_MILLISECONDS = 200

LOOKS = {
    "visible": ("Explanations", "Show or hide all explanations (Alt+X)"),
    "masks": ("Masks", "Show the masks that are made from the explanations"),
    "side_by_side": ("Side by side", "Show each heat map, and the concepts, on its own copy"),
}


class ExplainDock(ScrolledDock):
    """What the classifier says, and why.

    Parameters
    ----------
    session : Session
        What is shown.
    explaining : Explaining
        The controllers that are called.
    layers : ExplanationLayers
        Shows heat maps, concepts and masks.
    """

    def __init__(
        self, session: Session, explaining: Explaining, layers: ExplanationLayers
    ) -> None:
        super().__init__()
        self._session, self._explanation = session, session.explanation
        self._explaining, self._layers = explaining, layers
        self._looked_at = self._masks_before = False
        self.classifier, self.gradcam = ClassifierPanel(), GradcamPanel()
        self.concepts, self.tuning = ConceptsPanel(), TuningPanel()
        self.legend = self.concepts.concepts.legend
        self.masks, self.picture = MasksPanel(), PicturePanel()
        self.looks = {name: QCheckBox(title) for name, (title, _) in LOOKS.items()}
        self.together = QCheckBox("Concepts over the heat map")
        self.compare = QCheckBox("Compare heat maps")
        self._lay_out()
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._show_session()

    def _on_painted(self) -> None:
        """Load the classifier when somebody looks at this dock first."""
        if not self._looked_at:
            self._looked_at = True
            # A dock that is about to become a tab behind others may be painted once.
            QTimer.singleShot(SHOWN_MILLISECONDS, self._on_shown)

    def _lay_out(self) -> None:
        looks = QWidget()
        column = QVBoxLayout(looks)
        column.setContentsMargins(0, 0, 0, 0)
        for name, box in self.looks.items():
            box.setToolTip(LOOKS[name][1])
            column.addWidget(box)
        self.together.setToolTip("If off: one at a time; Alt+Shift+X shows the next")
        self.compare.setToolTip(
            "Side by side by one colour scale, the share of each map's maximum, with the "
            "difference of the first two; another classifier's maps stay until the next image. "
            "Masks, which would change the colours, are hidden meanwhile"
        )
        column.addWidget(self.together)
        column.addWidget(self.compare)
        pictures = Section(
            "Rendered explanations from files",
            self.picture,
            tip="Make masks from rendered explanations by Algorithms 2 and 3",
        )
        tuning = Section(
            "Tune CRAFT",
            self.tuning,
            tip="Find the layer, k and patch size that suit these images",
        )
        self.add(
            (
                group("Classifier", self.classifier),
                group("Heat map", self.gradcam),
                group("Masks", self.masks, pictures),
                group("Show", looks),
                # The concepts come last: however many a fit finds, nothing lies below them.
                group("Concepts (CRAFT)", self.concepts, tuning, self.concepts.concepts),
            )
        )

    def set_foot(self, foot: QWidget) -> None:
        """Keep the legend in sight, too, above what every dock has at its foot."""
        foot.layout().insertWidget(0, self.legend)
        self.legend.show()
        super().set_foot(foot)

    def _outside_table(self) -> Connections:
        events = self._explanation.events
        return (
            (self._session.events.image, self._on_image_changed),
            *((getattr(events, field), show) for field, show in self._shown_fields()),
            (self._layers.look_changed, self._on_look_changed),
            (self._layers.legend_changed, self.legend.set_entries),
        )

    def _shown_fields(self) -> tuple[tuple[str, Callable[..., None]], ...]:
        """Return the fields of the explanation, and what shows each from the start."""
        return (
            ("choice", self.classifier.set_choice),
            ("classifying", self.classifier.set_progress),
            ("classification", self._on_classification_changed),
            ("target", self._on_classification_changed),
            ("nearest", self.classifier.set_nearest),
            ("network", self.gradcam.set_network),
            ("network", self.concepts.set_network),
            ("cam", self.gradcam.set_settings),
            ("follow", self.gradcam.set_follow),
            ("explaining", self.gradcam.bar.set_progress),
            ("heatmaps", self.gradcam.set_heatmaps),
            ("checks", self.gradcam.set_checks),
            ("craft", self.concepts.set_settings),
            ("fit_images", self.concepts.set_images),
            ("fitting", self.concepts.bar.set_progress),
            ("alone", self._on_alone_changed),
            ("compare", self._on_compare_changed),
            ("bank", self._on_concepts_changed),
            ("concepts", self._on_concepts_changed),
            ("sweep", self.tuning.set_rows),
            ("advice", self.tuning.set_advice),
            ("mask_settings", self._on_mask_settings_changed),
            ("masks", self.masks.set_masks),
            ("picture", self.picture.set_picture),
        )

    def _inside_table(self) -> Connections:
        classify, heat = self._explaining.classify, self._explaining.heatmaps
        concepts, masks = self._explaining.concepts, self._explaining.masks
        return (
            (self.painted, self._on_painted),
            (self.classifier.picked, classify.choose_classifier),
            (self.classifier.target_picked, classify.set_target),
            (self.classifier.find.clicked, classify.find_nearest),
            (self.classifier.nearest_picked, classify.open_nearest),
            (self.gradcam.picked, heat.set_cam),
            (self.gradcam.follow.toggled, heat.set_follow),
            (self.gradcam.bar.start_wanted, heat.explain),
            (self.gradcam.bar.cancel_wanted, heat.cancel),
            (self.gradcam.next.clicked, heat.show_next),
            (self.gradcam.clear.clicked, heat.clear),
            (self.gradcam.check.clicked, heat.check),
            (self.together.toggled, heat.set_together),
            (self.compare.toggled, self._on_compare_toggled),
            (self.concepts.files_picked, concepts.add_images),
            (self.concepts.folder_picked, concepts.add_folder),
            (self.concepts.current.clicked, concepts.add_current),
            (self.concepts.clear.clicked, concepts.clear_images),
            (self.concepts.settings_picked, concepts.set_craft),
            (self.concepts.open_wanted, concepts.open_bank),
            (self.concepts.save_wanted, concepts.save_bank),
            (self.concepts.bar.start_wanted, concepts.fit),
            (self.concepts.bar.cancel_wanted, concepts.cancel),
            (self.concepts.concepts.toggled, self._on_concept_toggled),
            (self.concepts.concepts.crop_picked, concepts.open_crop),
            (self.concepts.concepts.named, concepts.name_concept),
            (self.concepts.local.toggled, self._on_local_toggled),
            (self.tuning.tune.clicked, concepts.tune),
            (self.tuning.picked, concepts.use),
            (self.masks.changed, self._on_masks_changed),
            (self.masks.send_wanted, masks.send),
            (self.masks.sam_wanted, masks.send_to_sam),
            (self.picture.load_wanted, masks.load_picture),
            (self.picture.changed, masks.set_picture),
            *((box.toggled, self._on_looks_toggled) for box in self.looks.values()),
        )

    def _show_session(self) -> None:
        self._on_image_changed()
        # The same table as connects them: what is shown later is shown from the start.
        for field, show in self._shown_fields():
            show(getattr(self._explanation, field))
        self._on_look_changed(self._layers.look)
        self.legend.set_entries(self._layers.legend)

    def _on_shown(self) -> None:
        self._looked_at = self.on_screen
        if self._looked_at:
            self._explaining.classify.warm()

    def _on_image_changed(self) -> None:
        without = self._session.image is None
        self.classifier.set_idle("Open an image first, in Mask candidates." if without else "")

    def _on_classification_changed(self, _new: object) -> None:
        explanation = self._explanation
        self.classifier.set_classification(explanation.classification, explanation.target)

    def _on_concepts_changed(self, _new: object = None) -> None:
        explanation = self._explanation
        self.gradcam.set_concepts(explanation.concepts is not None)
        self.concepts.set_bank(explanation.bank)
        self.concepts.concepts.set_shown(explanation.mask_settings.concepts)
        self.concepts.show_importances(
            explanation.bank, explanation.concepts, explanation.mask_settings.local
        )

    def _on_mask_settings_changed(
        self, new: ExplanationMaskSettings, old: ExplanationMaskSettings | None = None
    ) -> None:
        self.masks.set_settings(new)
        # A threshold moves many times a second, and changes nothing of the list of concepts.
        if old is None or (new.concepts, new.local) != (old.concepts, old.local):
            self._on_concepts_changed()

    def _on_masks_changed(self, change: dict[str, Any]) -> None:
        self._explaining.masks.set_masks(**change)

    def _on_concept_toggled(self, concept: int, shown: bool) -> None:
        known = self._explanation.mask_settings.concepts
        chosen = known | {concept} if shown else known - {concept}
        self._explaining.masks.set_masks(concepts=chosen)

    def _on_local_toggled(self, local: bool) -> None:
        self._explaining.masks.set_masks(local=local)

    def _on_look_changed(self, look: Look) -> None:
        for name, box in self.looks.items():
            with signals_blocked(box):
                box.setChecked(getattr(look, name))

    def _on_alone_changed(self, alone: str) -> None:
        with signals_blocked(self.together):
            self.together.setChecked(not alone)

    def _on_compare_changed(self, compare: bool) -> None:
        with signals_blocked(self.compare):
            self.compare.setChecked(compare)

    def _on_compare_toggled(self, compare: bool) -> None:
        self._explaining.heatmaps.set_compare(compare)
        # Masks lie over the first map only, and would change its colours.
        look = self._layers.look
        masks = not compare and (look.masks or self._masks_before)
        self._masks_before = compare and look.masks
        self._layers.set_look(replace(look, side_by_side=compare, masks=masks))

    def _on_looks_toggled(self) -> None:
        values = {name: box.isChecked() for name, box in self.looks.items()}
        self._layers.set_look(replace(self._layers.look, **values))
        if not values["side_by_side"]:
            # Of one map alone there is nothing to compare.
            self.compare.setChecked(False)
