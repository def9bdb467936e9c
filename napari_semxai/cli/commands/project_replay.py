"""``semxai project replay``: stored edits exactly, network steps within a stated tolerance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask, known_by
from napari_semxai.algorithms.masks.click_edits import prompted_object, take_answer
from napari_semxai.algorithms.masks.edits import apply_patch
from napari_semxai.cli.works.masks import Pipeline
from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.project.learned import same_network
from napari_semxai.store.project.masks import difference, replay_edits
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, MaskEdit, MaskSettings, Prompts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from napari_semxai.backends.sam2.segmenter import Segmenter
    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.project.masks import EditReplay
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import BoolMask, ModelInfo, SemImage

TOLERANCE = 1e-4
"""Share of pixels in which a mask made again by a network may differ from the stored one.

Batch sizes, threads and processors round differently, which moves pixels on the very border.
"""


@dataclass(frozen=True, slots=True)
class _Step:
    """A network step made again, and the share of pixels that came out otherwise.

    None of an automatic mask whose candidates were not complete: which of them there were is a
    matter of when the run was looked at.
    """

    name: str
    difference: float | None


def run(options: argparse.Namespace, output: Output) -> int:
    """Replay every mask that has a recipe; those that come out otherwise are named."""
    project = open_project(options.project)
    replayer = _Replayer(project, options.device, not options.no_network)
    failed: dict[str, str] = {}
    done: list[dict[str, Any]] = []
    for image_id, annotator in _wanted(project, options):
        label = f"{project.image(image_id).name} ({annotator})"
        output.progress(label)
        try:
            steps, edits = replayer.replay(image_id, annotator)
            for step in steps:
                if (step.difference or 0.0) > options.tolerance:
                    raise InputError(
                        f"{label}: {step.name} differs in {step.difference:.3%} of "
                        f"the pixels, more than {options.tolerance:.3%}"
                    )
        except InputError as error:
            failed[label] = str(error)
            continue
        output.say(f"{label}: {edits} edits repeated exactly{_said(steps)}")
        done.append(
            {
                "image": image_id,
                "annotator": annotator,
                "edits": edits,
                "network_steps": {step.name: step.difference for step in steps},
            }
        )
    if not done and not failed:
        raise InputError(f"{options.project}: no mask with a recipe")
    output.result({"replayed": done, "failed": failed})
    return output.conclude(failed, done)


def _said(steps: list[_Step]) -> str:
    """Return how the network steps went."""
    again = [step.difference for step in steps if step.difference is not None]
    network = f", {len(again)} network steps within {max(again):.3%}" if again else ""
    partial = (f"; {step.name} not repeated" for step in steps if step.difference is None)
    return network + "".join(partial)


def _wanted(project: Project, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    names = project.annotators() if options.annotator is None else [options.annotator]
    named = [project.find(name, name).id for name in options.image or ()]
    for image_id in named or [image.id for image in project.images]:
        for name in names:
            record = project.record(image_id, name)
            if record is not None and record.recipe is not None:
                yield image_id, name


class _Replayer:
    """Repeats recipes; a network is loaded once."""

    def __init__(self, project: Project, device: str, network: bool) -> None:
        self._project = project
        self._device = device
        self._network = network
        self._pipelines: dict[MaskSettings, Pipeline] = {}
        self._segmenters: dict[str, Segmenter] = {}

    def replay(self, image_id: str, annotator: str) -> tuple[list[_Step], int]:
        """Return the network steps made again, and the number of edits."""
        replay = replay_edits(self._project, image_id, annotator)
        image = self._project.read_image(image_id)
        steps = list(self._steps(image, replay)) if self._network else []
        return steps, len(replay.recipe.edits)

    def _steps(self, image: SemImage, replay: EditReplay) -> Iterator[_Step]:
        recipe = replay.recipe
        if recipe.base == "automatic":
            yield self._step(image, recipe.settings, replay.steps[0], "automatic mask")
        for number, edit in enumerate(recipe.edits):
            name, after = f"edit {number + 1}, {edit.name}", replay.steps[number + 1]
            if "object" in edit.details:
                found = self._click(image, replay.steps[number], edit, recipe.settings)
                yield _Step(name, difference(found, after))
            elif "winner" in edit.details:
                yield self._step(image, edit.details, after, name)

    def _step(
        self, image: SemImage, settings: Mapping[str, Any], stored: BoolMask, name: str
    ) -> _Step:
        """Make an automatic mask again, unless its candidates were not complete."""
        # Which points had been asked when the mask was taken depends on the machine's speed.
        if "points_done" in settings:
            points = f"{settings['points_done']:,} of {settings['points_total']:,} points"
            return _Step(f"{name} of {points}", None)
        return _Step(name, difference(self._automatic(image, settings), stored))

    def _automatic(self, image: SemImage, settings: Mapping[str, Any]) -> BoolMask:
        wanted = MaskSettings.from_json(settings, self._device)
        network = settings.get("network")
        if network is not None:
            # The project may have been moved since.
            path = same_network(self._project.folder, network["path"], network["sha256"])
            wanted = replace(wanted, algorithm=replace(wanted.algorithm, network=str(path)))
        # One of each kind of settings: masks of a project mostly share them, and loading takes
        # seconds.
        pipeline = self._pipelines.setdefault(wanted, Pipeline(wanted))
        # Before the network runs: with other weights a difference would prove nothing.
        self._check_model(pipeline.load(), network or settings["model"], wanted.model)
        region = region_mask(settings.get("ignored", ""), image.gray.shape)
        result = pipeline.run(replace(image, ignored=region))
        compared = (settings.get("compared") or {}).get("sha256", "")
        here = "" if result.difference is None else result.difference.sha256
        if compared and compared != here:
            raise InputError(
                f"the mask was made by another reference (sha256 {compared[:12]}…, here "
                f"{here[:12] or 'none'}…); bring that back, or use --no-network"
            )
        # A winner that a person chose is taken as stored: no score leads to it.
        if not settings.get("overridden"):
            return result.truth.mask
        known = known_by(
            wanted.algorithm, image.gray, result.left_out, result.pool, result.difference
        )
        return automatic_mask(
            result.pool,
            image,
            wanted.algorithm,
            result.left_out,
            winner=settings["winner"],
            known=known,
        ).mask

    def _click(
        self, image: SemImage, before: BoolMask, edit: MaskEdit, settings: Mapping[str, Any]
    ) -> BoolMask:
        """Ask the network again what it was asked, beside the object as it was."""
        from napari_semxai.backends.sam2.clicks import answer_prompts
        from napari_semxai.backends.sam2.segmenter import Segmenter

        details = edit.details
        # Earlier recipes do not say which network answered a click: that of the mask did.
        model = details.get("model") or settings.get("model", {"name": "bundled", "sha256": ""})
        name = model["name"]
        if name not in self._segmenters:
            self._segmenters[name] = Segmenter(name, device=self._device)
        segmenter = self._segmenters[name]
        self._check_model(segmenter.info, model, name)
        prompts = Prompts(
            points=tuple(map(tuple, details["points"])),
            foreground=tuple(details["foreground"]),
            box=None if details["box"] is None else tuple(details["box"]),
        )
        known = _drawn(details["object"], before.shape)
        prompt = _drawn(details["prompt"], before.shape) if details.get("prompt") else known
        answer = answer_prompts(segmenter, image.gray, prompts, prompt if prompt.any() else None)
        return take_answer(before, known, prompted_object(answer.mask, known, prompts))

    @staticmethod
    def _check_model(info: ModelInfo, model: Mapping[str, Any], name: str) -> None:
        wanted, here = model["sha256"], info.sha256
        if wanted and wanted != here:
            raise InputError(
                f"the mask was made with other weights of {name} (sha256 "
                f"{wanted[:12]}…, here {here[:12]}…); bring those in, or use --no-network"
            )


def _drawn(values: Mapping[str, Any], shape: tuple[int, ...]) -> BoolMask:
    """Return a mask that a recipe holds as the runs that draw it."""
    runs = values["runs"]
    # Files hold runs as one text; recipes that were never written hold numbers.
    numbers = runs.split() if isinstance(runs, str) else runs
    edit = MaskEdit("object", tuple(values["box"]), tuple(map(int, numbers)))
    return apply_patch(np.zeros(shape, dtype=bool), edit)
