"""The session of one viewer: fields are replaced, never mutated, and say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from psygnal import Signal, SignalGroup, SignalGroupDescriptor

from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.algorithms.explanations.localisation import ThresholdCurve
from napari_semxai.algorithms.masks.components import Defect
from napari_semxai.algorithms.statistics.survey import SurveyReport
from napari_semxai.state.comparison import ComparisonTable
from napari_semxai.state.explanation import Explanation
from napari_semxai.state.open_image import OpenImage, SaveState
from napari_semxai.state.queue import Queue
from napari_semxai.state.research import ImageSweep, RunState, SurveyState
from napari_semxai.state.review import Clicks, OtherMasks, PastReview, Tally
from napari_semxai.store.disk.safety_net import Recovery
from napari_semxai.store.project.index.open_project import OpenProject
from napari_semxai.types import (
    IDLE,
    AlgorithmSettings,
    BoolMask,
    CandidatePool,
    FilterSettings,
    GenerateSettings,
    GroundTruth,
    IntArray,
    LeftOut,
    MaskSettings,
    MaskSize,
    ModelInfo,
    PairAgreement,
    Progress,
    ReviewRecord,
    Scores,
    SemImage,
)
from napari_semxai.types.learned import Learned
from napari_semxai.types.settings import AUTO_REFERENCE, BUNDLED_FILTERS

if TYPE_CHECKING:
    from napari_semxai.store.project.index.open_project import Entry


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The network that generates candidates, and where it runs."""

    model: str = "bundled"
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Origin:
    """What made the candidates of a pool.

    Attributes
    ----------
    choice : ModelChoice
        The network that was asked.
    generate : GenerateSettings
        What it was asked for.
    model : ModelInfo or None
        The network that answered.
    points : tuple of int or None
        Points done and asked for, where the pool is not complete.
    """

    choice: ModelChoice = field(default_factory=ModelChoice)
    generate: GenerateSettings = field(default_factory=GenerateSettings)
    model: ModelInfo | None = None
    points: tuple[int, int] | None = None

    @property
    def sha256(self) -> str:
        """Digest of the network's weights; "" while it has not answered."""
        return "" if self.model is None else self.model.sha256


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The candidates of an image, to come back to.

    Attributes
    ----------
    pool : CandidatePool
        All of them.
    chosen : int or None
        The winner that a person chose.
    origin : Origin
        What made them.
    filters : FilterSettings or None
        Those that the candidates passed, where the others are not kept.
    difference : Difference or None
        From the reference, `Difference.light`.
    """

    pool: CandidatePool
    chosen: int | None
    origin: Origin
    filters: FilterSettings | None = None
    difference: Difference | None = None


class KeptCandidates(NamedTuple):
    """Candidates of an image of a project, and the automatic mask that they led to.

    Attributes
    ----------
    found : Found
        Those that passed the filters.
    algorithm : AlgorithmSettings
        What made a mask of them.
    mask_sha256 : str
        Digest of that mask.
    """

    found: Found
    algorithm: AlgorithmSettings
    mask_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Automatic:
    """The automatic mask with all that led to it.

    Attributes
    ----------
    pool : CandidatePool
        The candidates that passed the filters.
    indices : ndarray of int
        Where they stand in the whole pool.
    truth : GroundTruth
        Algorithm 1's answer over `pool`.
    left_out : LeftOut
        What was ignored.
    overridden : bool
        Whether a person chose the winner.
    origin : Origin
        What made the candidates.
    difference : Difference or None
        What the image was compared with; None for nothing.
    """

    pool: CandidatePool
    indices: IntArray
    truth: GroundTruth
    left_out: LeftOut
    overridden: bool = False
    origin: Origin = field(default_factory=Origin)
    difference: Difference | None = None

    @property
    def score(self) -> float | None:
        """How sure the mask is, as `GroundTruth.certainty`."""
        return self.truth.certainty(self.pool.predicted_iou)


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A whole mask to be brought into the defect mask as one undoable edit.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        The new mask.
    title : str
        What the edit is called.
    details : mapping
        What the edit was asked for, as JSON can hold it.
    ignored : ndarray of bool, shape (M, N), or None
        The pixels to ignore from now on; None leaves them.
    """

    mask: BoolMask
    title: str
    details: Mapping[str, Any] = field(default_factory=dict)
    ignored: BoolMask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LoadedTruth:
    """A truth mask that was read from a file."""

    mask: BoolMask
    name: str


@dataclass(frozen=True, slots=True)
class Readout:
    """What the Scores dock shows of one prediction against one truth."""

    prediction: str
    truth: str
    scores: Scores


class SessionEvents(SignalGroup):
    """Signals of the session besides those of its fields: mostly parts of the open image.

    These are told together, after all of `Session.current` is in its place.
    """

    image = Signal(object, object)
    edited = Signal(bool, bool)
    pixel_size = Signal(object, object)
    save = Signal(SaveState, SaveState)
    record = Signal(object, object)
    failure_over = Signal(str)
    """What went wrong with this message has gone well since."""


@dataclass
class Session:
    """Everything one viewer's docks and layers show."""

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor(
        signal_group_class=SessionEvents
    )

    current: OpenImage | None = None
    keep_view: bool = False
    project: OpenProject | None = None
    choice: ModelChoice = field(default_factory=ModelChoice)
    model: ModelInfo | None = None
    download: Progress = IDLE
    generate: GenerateSettings = field(default_factory=GenerateSettings)
    generation: Progress = IDLE
    pool: CandidatePool | None = None
    filters: FilterSettings = BUNDLED_FILTERS
    # As the command line does by itself.
    algorithm: AlgorithmSettings = field(
        default_factory=lambda: AlgorithmSettings(reference=AUTO_REFERENCE)
    )
    difference: Difference | None = None
    automatic: Automatic | None = None
    preview: BoolMask | None = None
    proposal: Proposal | None = None
    # Pixels of the open image that count for nothing, None for none; and whether the tools mark
    # such pixels now, instead of the defect.
    ignored: BoolMask | None = None
    ignoring: bool = False
    clicks: Clicks = field(default_factory=Clicks)
    queue: Queue | None = None
    past_reviews: tuple[PastReview, ...] = ()
    tally: Tally = field(default_factory=Tally)
    others: OtherMasks | None = None
    agreement: tuple[PairAgreement, ...] = ()
    blind: bool = True
    batch: Progress = IDLE
    learned: Learned = field(default_factory=Learned)
    learning: Progress = IDLE
    recovery: Recovery | None = None
    leftovers: tuple[Recovery, ...] = ()
    defects: tuple[Defect, ...] | None = None
    size: MaskSize = field(default_factory=lambda: MaskSize(0, 0, 0))
    loaded_truth: LoadedTruth | None = None
    readout: Readout | None = None
    comparison: ComparisonTable = field(default_factory=ComparisonTable)
    survey: SurveyState | None = None
    survey_report: SurveyReport | None = None
    sweep: ImageSweep | None = None
    curves: tuple[ThresholdCurve, ...] = ()
    run: RunState | None = None
    explanation: Explanation = field(default_factory=Explanation)
    message: str = ""

    @property
    def settings(self) -> MaskSettings:
        """What the next automatic mask would be made with."""
        choice = self.choice
        return MaskSettings(
            choice.model, choice.device, self.generate, self.filters, self.algorithm
        )

    def __post_init__(self) -> None:
        """Tell of the parts of the open image by signals of their own."""
        # One assignment of `current` becomes several signals only once all of it is in place: no
        # view can see the next image beside the record of the one before.
        self.events.current.connect(self._on_current_changed)

    @property
    def image(self) -> SemImage | None:
        """The open image."""
        return None if self.current is None else self.current.image

    @property
    def edited(self) -> bool:
        """Whether a person made the mask: sliders must not change it."""
        return self.current is not None and self.current.edited

    @property
    def pixel_size(self) -> float | None:
        """Edge of a pixel of the open image in metres."""
        return None if self.current is None else self.current.pixel_size

    @property
    def save(self) -> SaveState:
        """Where the strokes of the open image are."""
        return SaveState() if self.current is None else self.current.save

    @property
    def entry(self) -> Entry | None:
        """What the project stores of the open image; None outside projects."""
        return None if self.current is None else self.current.entry

    @property
    def record(self) -> ReviewRecord | None:
        """The review of the open image as it is shown."""
        return None if self.current is None else self.current.record

    def update_image(self, **change: Any) -> None:
        """Replace fields of the open image; nothing happens without one."""
        if self.current is not None:
            self.current = replace(self.current, **change)

    def is_busy(self) -> bool:
        """Return whether something goes over the whole project, and say so."""
        if self.batch.running:
            self.message = f"{self.batch.stage}: still running; wait for it, or cancel it"
        return self.batch.running

    def say(self, message: str) -> None:
        """Show a message, also where it is the same as the one before."""
        # A value that is set to what it was emits nothing, and the person would not be told
        # again.
        if message == self.message:
            self.message = ""
        self.message = message

    def _on_current_changed(self, now: OpenImage | None, before: OpenImage | None) -> None:
        for name, default in _NO_IMAGE.items():
            new, old = (getattr(current, name, default) for current in (now, before))
            # Identity first: arrays in a `SemImage` have no single answer to "equal".
            if new is not old and new != old:
                # A receiver may have replaced it since: the newest value counts.
                self.events[name].emit(getattr(self, name), old)


def named(names: Sequence[str], most: int = 5) -> str:
    """Return names for a message; of those beyond the first `most` only how many they are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# What views read where nothing is open; the names are those of the signals in `SessionEvents`.
_NO_IMAGE = {
    "image": None,
    "edited": False,
    "pixel_size": None,
    "save": SaveState(),
    "record": None,
}
