"""From one image to the files of its explanation, and its faithfulness; imports torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_semxai.algorithms.algorithm1.edge_strips import picture_border
from napari_semxai.algorithms.explanations.concepts import doubts
from napari_semxai.algorithms.explanations.localisation import RankedMap
from napari_semxai.algorithms.explanations.masks import threshold_mask, weighted_map
from napari_semxai.backends.cam.evaluation import faithfulness, sanity
from napari_semxai.backends.cam.gradcam import gradcam_steps
from napari_semxai.backends.classifier.classifier import Classifier, load_classifier
from napari_semxai.backends.classifier.nearest import nearest_steps
from napari_semxai.backends.concepts.bank import read_bank, transform_steps
from napari_semxai.cli.batch.workers import KEPT
from napari_semxai.cli.common.output import plain
from napari_semxai.cli.common.sources import (
    MASK_ENDING,
    OVERLAY_ENDING,
    RECORD_ENDING,
    RENDERING_ENDING,
)
from napari_semxai.cli.works.record import (
    content_key,
    image_values,
    known_record,
    mask_summary,
    nearest_values,
    score_values,
    size_of,
    versions,
)
from napari_semxai.cli.works.rendered import as_rgb, blended, write_picture
from napari_semxai.store.datasets.dataset import read_explanation, read_map
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.types import (
    ConceptMaps,
    Faithfulness,
    Heatmap,
    InputError,
    Progress,
    ReviewedFile,
    jet,
    moved_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from napari_semxai.cli.common.sources import Source
    from napari_semxai.store.datasets.dataset import TruthImage
    from napari_semxai.types import FloatArray, SemImage


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
        # As `explain` does without --target: the predicted class.
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


EXPLAIN = "explain"
MAP_ENDING, CONCEPTS_ENDING = ".npy", "_concepts.npy"
T = TypeVar("T")
_PACKAGES = ("napari-semxai", "grad-cam", "torch", "numpy")


@dataclass(frozen=True, slots=True)
class ExplainWork:
    """Explains an image and writes the files.

    Attributes
    ----------
    classifier, method, target, layers, tau, refinement
        As on the command line; the class by its index.
    bank : Path or None
        Concepts, for the method craft.
    bank_key : str
        What they were found in, with which settings.
    output : Path
        Where results go.
    sanity : bool
        Whether maps are compared with those that they should and should not be like.
    as_drawn : bool
        Whether maps are left where the library draws them.
    nearest : tuple of ReviewedFile
        Images to compare with.
    """

    classifier: str
    method: str
    target: int | None
    layers: tuple[str, ...]
    tau: float
    bank: Path | None
    bank_key: str
    refinement: str
    output: Path
    sanity: bool = False
    as_drawn: bool = False
    nearest: tuple[ReviewedFile, ...] = ()

    def load(self) -> Explainer:
        """Load the classifier."""
        return Explainer(load_classifier(self.classifier))

    def do(self, explainer: Explainer, source: Source) -> dict[str, Any]:
        """Explain one image, write its files, and return the short result."""
        stem = str(self.output / source.stem)
        files = [Path(stem + ending) for ending in self.endings]
        truth = "" if source.truth is None else source.truth.digest
        # Everything that decides the result, so that a run that was stopped goes on where it
        # was, and a run with other settings does not take the old files for its own.
        key = content_key(source.path, source.page, *self.settings, explainer.key, truth)
        known = known_record(Path(stem + RECORD_ENDING), key, files, EXPLAIN)
        if known is not None:
            return _short(known, stem) | {KEPT: True}
        image = read_image(source.path, source.page)
        true_mask = None if source.truth is None else source.truth.read(image.gray.shape)
        answer = explainer.answer(image.gray, self, image.picture_rows)
        values = map_of(answer)
        mask = threshold_mask(values, self.tau)
        record = explainer.record(image, source, answer)
        record |= {"method": self.method, "explanation": _details(answer, self.bank)}
        record["mask"] = {"tau": self.tau, "area_px": size_of(mask).area}
        if true_mask is not None:
            localisation = RankedMap(values).localisation(true_mask)
            record["scores"] = score_values(mask, true_mask) | asdict(localisation)
        if self.sanity:
            record["sanity"] = explainer.sanity(image.gray, self, answer.target)
        if self.nearest:
            record["nearest"] = explainer.nearest(image.gray, source, self.nearest)
        record = dict(plain(record | {"key": key}))
        _write_array(Path(stem + MAP_ENDING), values)
        if isinstance(answer, ConceptMaps):
            _write_array(Path(stem + CONCEPTS_ENDING), answer.maps)
        write_picture(Path(stem + RENDERING_ENDING), answer.rgb())
        write_picture(Path(stem + OVERLAY_ENDING), overlay_of(image.gray, answer))
        write_mask(stem + MASK_ENDING, mask)
        # Last: the record says that all files are there, and a run that is stopped before makes
        # them anew.
        write_json(stem + RECORD_ENDING, record)
        return _short(record, stem)

    @property
    def endings(self) -> tuple[str, ...]:
        """Of the files beside the record."""
        common = MAP_ENDING, RENDERING_ENDING, OVERLAY_ENDING, MASK_ENDING
        return common if self.bank is None else (*common, CONCEPTS_ENDING)

    @property
    def settings(self) -> tuple[object, ...]:
        """What decides an explanation, beside the image and the network."""
        explained = self.method, self.target, self.layers, self.tau, self.refinement, self.bank_key
        # With the way maps are placed, so that those of versions that did otherwise are made anew.
        placed = "as drawn" if self.as_drawn else "registered, without the border"
        # Only where they are asked for, so that earlier results stay.
        return *explained, self.sanity, placed, *self.nearest


class Explainer:
    """A classifier that is asked about one image after the other.

    Parameters
    ----------
    classifier : Classifier
        Whose answers are explained.

    Attributes
    ----------
    on_update : callable
        Told the progress of an explanation.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.on_update: Callable[[Progress], None] = lambda _update: None
        self._classifier = classifier

    @property
    def key(self) -> str:
        """What the classifier is."""
        return self._classifier.info.key

    def answer(
        self, gray: NDArray[np.uint8], work: ExplainWork, picture_rows: int | None = None
    ) -> Heatmap | ConceptMaps:
        """Explain an image (M, N), of which so many rows are known to be above an info bar."""
        placed: dict[str, Any] = {"as_drawn": work.as_drawn}
        placed["border"] = picture_border(gray, picture_rows)
        if work.bank is not None:
            asked = gray, self._classifier, work.bank, work.refinement
            return run_steps(transform_steps(*asked, **placed), self.on_update)
        placed |= {"target": work.target, "layers": work.layers, "method": work.method}
        heatmap = gradcam_steps(gray, self._classifier, **placed)
        return run_steps(heatmap, self.on_update)

    def sanity(
        self, gray: NDArray[np.uint8], work: ExplainWork, target: int
    ) -> dict[str, float | None]:
        """Compare the map of a class with others; concepts are those of one class only."""

        def explain(gray: NDArray[np.uint8], classifier: Classifier, target: int) -> FloatArray:
            return map_of(Explainer(classifier).answer(gray, replace(work, target=target)))

        found = sanity(gray, explain, self._classifier, target)
        values: dict[str, float | None] = dict(asdict(found))
        return values if work.bank is None else values | {"other_class": None}

    def nearest(
        self, gray: NDArray[np.uint8], source: Source, files: tuple[ReviewedFile, ...]
    ) -> list[dict[str, Any]]:
        """Return the other files that the classifier sees as most like an image (M, N)."""
        own = source.path.resolve(), source.page
        others = [one for one in files if (one.path.resolve(), one.page) != own]
        steps = nearest_steps(gray, self._classifier, others, 5)
        return nearest_values(run_steps(steps, self.on_update))

    def record(
        self, image: SemImage, source: Source, answer: Heatmap | ConceptMaps
    ) -> dict[str, Any]:
        """Return what the classifier says of an image, and what was explained."""
        info, names = self._classifier.info, self._classifier.class_names
        found = self._classifier.classify(image.gray)
        return {
            "command": EXPLAIN,
            "image": image_values(image, source.name),
            "classifier": {
                "name": info.name,
                "sha256": info.sha256,
                "trained_on_synthetic_images_only": info.synthetic,
            },
            "probabilities": dict(zip(names, found.probabilities.tolist(), strict=True)),
            "predicted": names[found.predicted],
            "answer": found.answer,
            "strange": found.strange,
            "target": names[answer.target],
            "layers": answer.layers,
            "versions": versions(*_PACKAGES),
        }


def _short(record: dict[str, Any], stem: str) -> dict[str, Any]:
    """Return what is told of a record that lies at `stem`."""
    return {
        "image": record["image"]["file"],
        "page": record["image"]["page"],
        **{name: record[name] for name in ("predicted", "target", "mask")},
        "record": stem + RECORD_ENDING,
        "summary": _summary(record),
    }


def _summary(record: dict[str, Any]) -> str:
    share = "" if record["strange"] else f" ({max(record['probabilities'].values()):.0%})"
    text = f"{record['answer']}{share}, explained: {record['target']}, {mask_summary(record)}"
    if record["classifier"]["trained_on_synthetic_images_only"]:
        text += "; the classifier knows synthetic images only"
    return text


def map_of(answer: Heatmap | ConceptMaps) -> NDArray[np.float32]:
    """Return one float map: the heat map, or all concepts by their importance, scaled to 1."""
    if isinstance(answer, Heatmap):
        return answer.values
    union = weighted_map(answer.maps, answer.importances)
    # One τ then means the same as for a heat map: a share of the maximum.
    peak = float(union.max(initial=0.0))
    return np.asarray(union / peak if peak > 0 else union, np.float32)


def overlay_of(gray: NDArray[np.uint8], answer: Heatmap | ConceptMaps) -> NDArray[np.uint8]:
    """Return the explanation in its colours over the image, shape (M, N, 3).

    The published rendering of concepts knows their coarse maps only. Finer ones are shown
    themselves: each pixel has the colour of what matters most there, as strong as it matters.
    """
    picture = as_rgb(gray)
    if isinstance(answer, Heatmap):
        return blended(picture, jet(answer.values), answer.values)
    # CRAFT's own rendering; of refined maps there is none, so each pixel gets the colour of the
    # concept that matters most there.
    if answer.refinement == "none":
        rendering = answer.rgb()
        return blended(picture, rendering, rendering.max(axis=2) / np.float32(255))
    matter = answer.maps * answer.importances[:, None, None]
    most = np.maximum(matter.max(axis=0), 0)
    colors = answer.colors[matter.argmax(axis=0)]
    return blended(picture, colors, most / max(float(most.max()), np.finfo(np.float32).tiny))


def _details(answer: Heatmap | ConceptMaps, path: Path | None) -> dict[str, Any]:
    placed: dict[str, Any] = {"moved_by": moved_by(answer), "registration": _places(answer)}
    placed["border"] = answer.border
    if isinstance(answer, Heatmap):
        return {"raw_maximum": answer.raw_maximum, **placed}
    quality = {} if path is None else _quality(path)
    return {
        "importances": answer.importances,
        "importances_in_this_image": answer.local_importances,
        "colors": answer.colors,
        "bank": answer.bank,
        "refinement": answer.refinement,
        **placed,
        **quality,
    }


def _places(answer: Heatmap | ConceptMaps) -> list[str]:
    maps = answer.values if isinstance(answer, Heatmap) else answer.maps[0]
    shape = (maps.shape[0], maps.shape[1])
    return [place.text(shape, answer.as_drawn) for place in answer.registrations]


def _quality(path: Path) -> dict[str, Any]:
    bank, _ = read_bank(path)
    found = {"r2": bank.r2, "agreement": bank.agreement, "warnings": doubts(bank)}
    found |= {"pieces": bank.pieces}
    return found | ({"names": bank.names} if any(bank.names) else {})


def run_steps(steps: Generator[Any, None, T], on_update: Callable[[Progress], None]) -> T:
    """Run steps to their end with their progress told."""
    while True:
        try:
            update = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        # Concepts also yield their maps, before the importances in this image are known.
        if isinstance(update, Progress):
            on_update(update)


def _write_array(path: Path, values: NDArray[np.float32]) -> None:
    with atomic_write(path) as file:
        np.save(file, values, allow_pickle=False)
