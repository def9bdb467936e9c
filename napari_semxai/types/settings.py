"""Everything that decides an automatic mask, how it is written down, and requests to SAM 2.

The one place that names these values: docks, command line, recipes, records, replays, the queue
and runs all read them here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.image import BoolMask, Border, CompareRequest, InputError, LeftOut
from napari_semxai.types.masks import CandidatePool
from napari_semxai.types.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

# Recipes and the preferences of users hold these words.
PAPER, ROBUST, LEARNED = "paper", "robust", "learned"
ALGORITHMS = (ROBUST, PAPER)
"""Variants of Algorithm 1 by their stage 2, the default first; `LEARNED` stands beside them."""
DEFAULT_ALPHA, DEFAULT_BETA = 2.0, 0.05
AUTO_REFERENCE, NO_REFERENCE, SELF_REFERENCE = "auto", "none", "self"


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """What the network is asked for; changing any of these needs the network again.

    Attributes
    ----------
    points_per_side : int
        The grid holds ``points_per_side ** 2`` prompts.
    pred_iou_floor : float
        Masks predicted worse than this are not upscaled and not in the pool.
    crop_n_layers : int
        0: the whole image only; n: also ``4 ** n`` overlapping crops, as in SAM 2.
    """

    points_per_side: int = 32
    pred_iou_floor: float = 0.5
    crop_n_layers: int = 0


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """What selects candidates from a pool; all of these act without the network.

    Attributes
    ----------
    pred_iou_thresh, stability_score_thresh, stability_score_offset, box_nms_thresh : float
        As in SAM 2's automatic mask generator.
    """

    pred_iou_thresh: float = 0.8
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7


BUNDLED_FILTERS = FilterSettings(pred_iou_thresh=0.5, stability_score_thresh=0.0)
"""Chosen on validation scenes (docs/model-card.md)."""


def usual_filters(model: str, **wanted: float | None) -> FilterSettings:
    """Return the thresholds of a network unless somebody wants others.

    Its outlines are softer than those of SAM 2, whose stability score leaves out nearly all
    that the bundled network finds.

    Parameters
    ----------
    model : str
        "bundled", an official name or the path of a checkpoint: these have SAM 2's own.
    **wanted : float or None
        Other values of its fields; None leaves a field as it is.
    """
    usual = BUNDLED_FILTERS if model == "bundled" else FilterSettings()
    return replace(usual, **{k: v for k, v in wanted.items() if v is not None})


@dataclass(frozen=True, slots=True)
class AlgorithmSettings:
    """Parameters of Algorithm 1.

    Attributes
    ----------
    alpha, beta : float
        Centre bias and minimum area ratio.
    connectivity : int
        4 or 8.
    ignore_border : int or None
        Pixels on every side; None measures dark and constant strips ("auto").
    algorithm : str
        One of `ALGORITHMS`: which stage 2; or `LEARNED`: a network that learned a project's
        masks answers alone.
    network : str
        Path of the learned network.
    reference : str
        What the robust stage 2 compares an image with: "none", "self" (its own repetitions), a
        file, a folder of files with equal names, or "auto": the file that its project names, else
        one that is named as the image with "_reference", else itself.
    """

    alpha: float = DEFAULT_ALPHA
    beta: float = DEFAULT_BETA
    connectivity: int = 8
    ignore_border: int | None = None
    algorithm: str = ROBUST
    network: str = ""
    reference: str = NO_REFERENCE

    @property
    def compares(self) -> bool:
        """Whether a reference is looked for; only the robust stage 2 knows one."""
        return self.algorithm == ROBUST and self.reference != NO_REFERENCE

    def border(self, strips: Border) -> Border:
        """Return the (top, right, bottom, left) to ignore on an image with these `strips`."""
        width = self.ignore_border
        return strips if width is None else (width, width, width, width)

    def left_out(self, strips: Border, region: BoolMask | None) -> LeftOut:
        """Return what counts for nothing on an image with these `strips` and ignored `region`."""
        return LeftOut(self.border(strips), region)


@dataclass(frozen=True, slots=True)
class MaskSettings:
    """Everything that decides an automatic mask.

    Attributes
    ----------
    model, device : str
        "bundled", an official name or the path of a checkpoint; and where it runs.
    generate, filters : GenerateSettings, FilterSettings
        How candidates are made and selected.
    algorithm : AlgorithmSettings
        How one of them becomes the mask.
    """

    model: str = "bundled"
    device: str = "auto"
    generate: GenerateSettings = GenerateSettings()
    filters: FilterSettings = BUNDLED_FILTERS
    algorithm: AlgorithmSettings = AlgorithmSettings()

    def to_json(self, sha256: str, border: Border) -> dict[str, Any]:
        """Return the values as recipes and records hold them.

        Parameters
        ----------
        sha256 : str
            Digest of the network that answers, SAM 2 or a learned one; "" while it is not known.
        border : tuple of int
            (top, right, bottom, left) that was ignored.
        """
        # Flat, as it was first written: files of users have these keys at the top.
        values = asdict(self.algorithm)
        width, network = values.pop("ignore_border"), values.pop("network")
        # SAM 2 is not asked then: which network answers its clicks is told with each of them.
        learned = self.algorithm.algorithm == LEARNED
        if learned:
            values["network"] = {"path": network, "sha256": sha256}
        if self.algorithm.reference == NO_REFERENCE:
            del values["reference"]
        return {
            "model": {"name": self.model, "sha256": "" if learned else sha256},
            **asdict(self.generate),
            **asdict(self.filters),
            **values,
            "ignore_border": {
                "requested": "auto" if width is None else width,
                "top_right_bottom_left": list(border),
            },
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], device: str) -> MaskSettings:
        """Return the settings of a recipe or record; the device is no part of those.

        Raises
        ------
        InputError
            When a value is missing.
        """
        try:
            width = values["ignore_border"]["requested"]
            return cls(
                values["model"]["name"],
                device,
                GenerateSettings(**_known(GenerateSettings, values)),
                FilterSettings(**_known(FilterSettings, values)),
                AlgorithmSettings(
                    values["alpha"],
                    values["beta"],
                    values["connectivity"],
                    None if width == "auto" else int(width),
                    # Recipes from before there was a choice do not name it.
                    values.get("algorithm", PAPER),
                    values.get("network", {}).get("path", ""),
                    values.get("reference", NO_REFERENCE),
                ),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"the recipe's settings lack {error}") from error

    def to_arguments(self) -> dict[str, object]:
        """Return the values by their options of the command line, without ``--``.

        The command line chooses the floor of the predicted IoU itself, and has no crops and no
        offset of the stability score.
        """
        filters, algorithm = self.filters, self.algorithm
        width = algorithm.ignore_border
        return {
            "model": self.model,
            "device": self.device,
            "points-per-side": self.generate.points_per_side,
            "pred-iou-thresh": filters.pred_iou_thresh,
            "stability-score-thresh": filters.stability_score_thresh,
            "box-nms-thresh": filters.box_nms_thresh,
            "connectivity": algorithm.connectivity,
            "ignore-border": "auto" if width is None else width,
            "alpha": algorithm.alpha,
            "beta": algorithm.beta,
            "algorithm": algorithm.algorithm,
            # Only the command that makes masks takes it.
            **({"network": algorithm.network} if algorithm.algorithm == LEARNED else {}),
            "reference": algorithm.reference,
        }


def _known(kind: type[GenerateSettings | FilterSettings], values: Mapping[str, Any]) -> Any:
    """Return the fields of `kind` that the values have; the others are as by default."""
    # A field that was added since is missing in earlier recipes, which were made with its
    # default.
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which network answered.

    Attributes
    ----------
    name : str
        "bundled", an official size, or a file name.
    sha256 : str
        Digest of the weights file.
    device : str
        "cpu", "cuda" or "mps".
    """

    name: str
    sha256: str
    device: str


@dataclass(frozen=True, slots=True)
class WarmRequest:
    """Load a network so that the next request finds it ready; answered by its `ModelInfo`.

    Attributes
    ----------
    model : str
        "bundled", an official name or the path of a checkpoint.
    device : str
        "auto", "cpu", "cuda" or "mps".
    """

    model: str
    device: str


@dataclass(frozen=True, slots=True)
class Prompts:
    """Clicks on one object, and a box around it.

    Attributes
    ----------
    points : tuple of (float, float)
        Clicks (row, column), oldest first.
    foreground : tuple of bool
        Whether each click is on the object.
    box : tuple of float or None
        (row0, column0, row1, column1).
    """

    points: tuple[tuple[float, float], ...] = ()
    foreground: tuple[bool, ...] = ()
    box: tuple[float, float, float, float] | None = None

    def __bool__(self) -> bool:
        # A box alone asks something, too.
        return bool(self.points) or self.box is not None

    def clicked(self, row: float, column: float, foreground: bool) -> Prompts:
        """Return these with one click more."""
        points = (*self.points, (float(row), float(column)))
        return Prompts(points, (*self.foreground, foreground), self.box)


@dataclass(frozen=True, slots=True, eq=False)
class GenerateRequest:
    """Ask for mask candidates; answered by a `ModelInfo`, then `GenerateUpdate` values.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        What the network sees.
    model, device : str
        As in `WarmRequest`.
    settings : GenerateSettings
        What the network is asked for.
    compare : CompareRequest or None
        What it is compared with first, which is answered; the network is then asked about what
        differs, too.
    """

    image: NDArray[np.uint8]
    model: str
    device: str
    settings: GenerateSettings
    compare: CompareRequest | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GenerateUpdate(Progress):
    """One message of a running generation: its stage "load", "encode" or "decode", grid points.

    Attributes
    ----------
    pool : CandidatePool or None
        All candidates so far, when a level of the grid is complete.
    """

    # None = None | With every complete level, so that a mask is there long before the last
    # point.
    pool: CandidatePool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PredictRequest:
    """Ask what a prompt means; answered by a `ModelInfo`, then a `PredictedMask`.

    An `Encoding` comes before the mask where the image was not encoded yet. Without any prompt
    the image is only encoded, so that the next request finds that done.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        What the network sees.
    model, device : str
        As in `WarmRequest`.
    prompts : Prompts
        Clicks and a box.
    mask : ndarray of bool, shape (M, N), or None
        The object as it is now, to be refined.
    """

    image: NDArray[np.uint8]
    model: str
    device: str
    prompts: Prompts
    mask: BoolMask | None = None


@dataclass(frozen=True, slots=True)
class Encoding:
    """The image is being encoded; the first answer on an image waits for it."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictedMask:
    """The mask that answers a prompt.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        The object.
    predicted_iou : float
        The network's own estimate of its IoU.
    """

    mask: BoolMask
    predicted_iou: float
