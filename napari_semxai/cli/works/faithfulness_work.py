"""Faithfulness of maps, image by image; imports torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.backends.cam.evaluation import faithfulness
from napari_semxai.backends.classifier.classifier import Classifier, load_classifier
from napari_semxai.cli.batch.tasks import KEPT
from napari_semxai.cli.works.record import content_key, known_record
from napari_semxai.store.datasets.results import read_explanation, read_map
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.read import read_image
from napari_semxai.types import Faithfulness, InputError

if TYPE_CHECKING:
    from napari_semxai.store.datasets.dataset import TruthImage


@dataclass(frozen=True, slots=True)
class FaithfulnessWork:
    """Asks a classifier about the map of an image, unless the answer is there already.

    Attributes
    ----------
    classifier : str
        The explained one.
    folder : Path
        Where the maps are.
    kept : Path
        Where answers are kept.
    """

    classifier: str
    folder: Path
    kept: Path

    def load(self) -> Classifier:
        """Load the classifier."""
        return load_classifier(self.classifier)

    def do(self, classifier: Classifier, image: TruthImage) -> dict[str, Any]:
        """Return the scores of one image's map."""
        values = read_map(self.folder, image)
        if values is None:
            raise InputError(f"{self.folder}: has no map {image.name}.npy")
        gray = read_image(image.path, image.page).gray
        if values.shape != gray.shape:
            raise InputError(f"{self.folder}: the map of {image.name} has not the image's size")
        target = self._target(classifier, image)
        if target is None:
            target = int(classifier.predict(gray).argmax())
        key = content_key(
            image.path, image.page, array_digest(values), classifier.info.key, target
        )
        path = self.kept / self.folder.name / f"{image.name}.json"
        known = known_record(path, key, ())
        if known is not None:
            kept = Faithfulness(**known["scores"])
            return {"name": image.name, "scores": kept, KEPT: True}
        found = faithfulness(gray, values, classifier, target)
        write_json(path, {"key": key, "scores": asdict(found)})
        return {"name": image.name, "scores": found}

    def _target(self, classifier: Classifier, image: TruthImage) -> int | None:
        """Return the class that the map explains, where its record says so."""
        name = read_explanation(self.folder, image).get("target")
        return classifier.class_names.index(name) if name in classifier.class_names else None
