"""What decides explanations: the classifier, the class, and the concepts; imports torch."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.algorithm1.edge_strips import picture_border
from napari_semxai.algorithms.explanations.concepts import doubts
from napari_semxai.algorithms.synthetic import LABELS
from napari_semxai.backends.cam.gradcam import check_target, method_of
from napari_semxai.backends.classifier.classifier import load_classifier
from napari_semxai.backends.classifier.layers.outputs import layers_of
from napari_semxai.backends.classifier.layers.split import seconds_per_pass
from napari_semxai.backends.classifier.nearest import feature_steps
from napari_semxai.backends.concepts.bank import bank_for, read_bank, write_bank
from napari_semxai.backends.concepts.craft import fit_steps
from napari_semxai.backends.concepts.factorize import CraftSettings
from napari_semxai.cli.batch.batch import batch_options, run_batch
from napari_semxai.cli.common.sources import find_sources, reviewed_files
from napari_semxai.cli.works.explainers import ExplainWork, run_steps
from napari_semxai.store.images.read import read_image
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.cli.common.output import Output
    from napari_semxai.cli.common.sources import Source
    from napari_semxai.types import CamMethod, ConceptBank, SemImage


SYNTHETIC = "The explained classifier was trained on synthetic images only."
_MOST_FITTED = 100


@dataclass(frozen=True, slots=True)
class PredictWork:
    """Says which class an image has.

    Attributes
    ----------
    classifier : str
        As on the command line.
    """

    classifier: str

    def load(self) -> Classifier:
        """Load the classifier."""
        return load_classifier(self.classifier)

    def do(self, classifier: Classifier, source: Source) -> dict[str, Any]:
        """Return the index of the most probable class."""
        gray = read_image(source.path, source.page).gray
        return {"predicted": int(classifier.predict(gray).argmax())}


def explain_work(
    options: argparse.Namespace, sources: Sequence[Source], output: Output
) -> ExplainWork:
    """Collect what decides the explanations, and find the concepts where they are asked for.

    Raises
    ------
    InputError
        When the classifier or the concepts cannot be had: one fault, not one of every image.
    """
    classifier = load_classifier(options.classifier)
    target = _target_of(options.target, classifier)
    bank = None
    if options.method == "craft" and sources:
        bank = _bank(options, sources, classifier, output)
    elif options.method != "craft":
        _say_cost(classifier, method_of(options.method), options.layer, output)
    compared = getattr(options, "nearest", None)
    files = () if compared is None else reviewed_files(compared)
    if files:
        # Once, before several processes would do the same.
        run_steps(feature_steps(classifier, files), output.follow)
    return ExplainWork(
        nearest=files,
        classifier=options.classifier,
        method=options.method,
        target=target,
        layers=tuple(options.layer),
        tau=options.tau,
        bank=None if bank is None else bank.path,
        bank_key="" if bank is None else bank.key,
        refinement=options.refinement,
        output=options.output,
        sanity=getattr(options, "sanity", False),
        as_drawn=options.as_drawn,
    )


def works_of_classes(
    options: argparse.Namespace,
    sources: Sequence[Source],
    output: Output,
    labels: Mapping[Source, str] | None = None,
) -> list[tuple[ExplainWork, list[Source]]]:
    """Do the same, for craft with the concepts of each predicted class for its own images.

    With `labels`, the true class of every image, these classes are explained instead.
    """
    classifier = load_classifier(options.classifier)
    if classifier.info.synthetic:
        output.say(SYNTHETIC)
    if labels is not None:
        found = {source: _labelled(label, classifier) for source, label in labels.items()}
        return _works_of(found, options, output)
    if options.method != "craft" or options.target is not None or options.bank is not None:
        return [(explain_work(options, sources, output), list(sources))]
    answers = run_batch(PredictWork(options.classifier), sources, batch_options(options))
    # Images that cannot be read are named when it is their turn to be explained.
    predicted = {one.item: one.result["predicted"] for one in answers if one.result is not None}
    found = {source: predicted[source] for source in sources if source in predicted}
    return _works_of(found, options, output)


def _works_of(
    found: Mapping[Source, int], options: argparse.Namespace, output: Output
) -> list[tuple[ExplainWork, list[Source]]]:
    """Return a work for each class, with its images."""
    classes: dict[int, list[Source]] = {}
    for source, target in found.items():
        classes.setdefault(target, []).append(source)
    works = []
    # Concepts are of one class: those of another would explain nothing of these images.
    for target, of_target in sorted(classes.items()):
        of_class = argparse.Namespace(**{**vars(options), "target": str(target)})
        works.append((explain_work(of_class, of_target, output), of_target))
    return works


def _labelled(label: str, classifier: Classifier) -> int:
    """Understand the label of a data set: a class by its name, or one of the six numbers."""
    name = LABELS.get(int(label), label) if label.isdecimal() else label
    names = [known.casefold() for known in classifier.class_names]
    for wanted in (label.casefold(), name.casefold()):
        if wanted in names:
            return names.index(wanted)
    raise InputError(
        f"label {label!r}: not a class of the classifier ({', '.join(classifier.class_names)}); "
        "give --explained-class predicted"
    )


def _bank(
    options: argparse.Namespace,
    sources: Sequence[Source],
    classifier: Classifier,
    output: Output,
) -> ConceptBank:
    """Open the given concepts, or find them."""
    if options.bank is None:
        return _fit(options, sources, classifier, output)
    bank = bank_for(options.bank, classifier)[0]
    _say_doubts(bank, output)
    target = _target_of(options.target, classifier)
    if target not in (None, bank.target):
        raise InputError(f"{options.bank}: holds concepts of {bank.class_name}")
    return bank


def _fit(
    options: argparse.Namespace,
    sources: Sequence[Source],
    classifier: Classifier,
    output: Output,
) -> ConceptBank:
    """Find the concepts of one class, and keep them beside the results."""
    if len(options.layer) > 1:
        raise InputError("craft splits the network at one layer; give --layer once")
    if options.fit_on:
        failed: dict[str, str] = {}
        sources = find_sources(options.fit_on, failed)
        if failed:
            raise InputError(next(iter(failed.values())))
    # Some tens are enough: evenly through the set, not its beginning.
    images = list(_readable(sources[:: -(-len(sources) // _MOST_FITTED)]))
    target = _target_of(options.target, classifier)
    if target is None and images:
        votes = Counter(int(classifier.predict(image.gray).argmax()) for image in images)
        target = votes.most_common(1)[0][0]
    settings = CraftSettings(
        target or 0,
        "".join(options.layer),
        options.concepts,
        options.patch_size,
        options.seed,
        options.pieces,
    )
    whole = options.as_drawn
    borders = [] if whole else [picture_border(one.gray, one.picture_rows) for one in images]
    bank: ConceptBank = run_steps(
        fit_steps([image.gray for image in images], classifier, settings, borders),
        output.follow,
    )
    output.say(
        f"{bank.n_concepts} concepts of {bank.class_name} at {bank.layer} from {bank.n_images} "
        f"images: R² {bank.r2:.2f}, same class from concepts alone {bank.agreement:.0%}"
    )
    _say_doubts(bank, output)
    # Workers on other machines, and later readers, have no cache of ours.
    kept = replace(bank, path=options.output / f"concepts_{bank.class_name}.safetensors")
    write_bank(kept, read_bank(bank.path)[1])
    return kept


def _say_cost(
    classifier: Classifier, method: CamMethod, layers: Sequence[str], output: Output
) -> None:
    """Say what an image takes, before methods that run the network many times begin."""
    if method.batch == 1:
        return
    known = layers_of(classifier)
    chosen = [name for name in layers or [classifier.default_layer] if name in known]
    passes = method.cost(sum(known[name].map_shape[0] for name in chosen))
    seconds = passes * seconds_per_pass(classifier)
    output.say(
        f"{method.title}: {passes:.0f} forward passes, about {seconds:.0f} s, for each image"
    )


def _say_doubts(bank: ConceptBank, output: Output) -> None:
    for doubt in doubts(bank):
        output.say(f"warning: {doubt}")


def _readable(sources: Iterable[Source]) -> Iterator[SemImage]:
    """Yield images; the others are named when it is their turn to be explained."""
    for source in sources:
        try:
            yield read_image(source.path, source.page)
        except InputError:
            continue


def _target_of(text: str | None, classifier: Classifier) -> int | None:
    """Understand a class by its name or index."""
    if text is None:
        return None
    if text in classifier.class_names:
        return classifier.class_names.index(text)
    if text.isdecimal():
        return check_target(classifier, int(text))
    raise InputError(f"class {text}: choose one of {', '.join(classifier.class_names)}")
