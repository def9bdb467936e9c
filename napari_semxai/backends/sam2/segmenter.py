"""SAM 2: mask candidates of a whole image, and masks that answer clicks, boxes and masks.

The network is the ``sam2`` package's own. Its decoder runs in a faster form of the same function
(`decoder`); every candidate is kept in a compact pool, so that thresholds act afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.algorithm1.reference import prompts_at
from napari_semxai.backends.sam2.batches import BatchSizer, on_one_core
from napari_semxai.backends.sam2.decoder.decoder import SharedImageDecoder
from napari_semxai.backends.sam2.dense import DefectFinder
from napari_semxai.backends.sam2.generate import Box, Generation, Progress, plan_crops
from napari_semxai.backends.sam2.image import (
    Embedding,
    Embeddings,
    Recent,
    check_image,
    image_digest,
)
from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
from napari_semxai.backends.sam2.pool import measure_masks, prompted_pool
from napari_semxai.types import (
    CandidatePool,
    GenerateSettings,
    GenerateUpdate,
    InputError,
    ModelInfo,
    mask_of_runs,
)
from napari_semxai.types.settings import usual_filters

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import ArrayLike

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.types import Prompts

Answer = TypeVar("Answer")
Marks = tuple[NDArray[np.float32], NDArray[np.int32]]
"""Places (row, column), shape (p, 2), and what each says, shape (p,), in SAM 2's numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Masks that answer a prompt.

    Attributes
    ----------
    masks : ndarray of bool, shape (k, M, N)
        k is 3 or 1.
    predicted_iou : ndarray of float32, shape (k,)
        The network's own estimate of each mask's IoU.
    logits : ndarray of float32, shape (k, h, w)
        Low-resolution mask logits, to be given back with the next click.
    """

    masks: NDArray[np.bool_]
    predicted_iou: NDArray[np.float32]
    logits: NDArray[np.float32]


def clicks(
    points: ArrayLike, labels: ArrayLike, box: tuple[float, float, float, float] | None
) -> Marks:
    """Return clicks and a box (row0, col0, row1, col1) as marks; a box is two corners first."""
    places, said = np.asarray(points, np.float32).reshape(-1, 2), np.asarray(labels, np.int32)
    if box is not None:
        places = np.concatenate([np.array(box, np.float32).reshape(2, 2), places])
        said = np.concatenate([np.array([2, 3], np.int32), said])
    return places, said


@torch.no_grad()
def answer(
    network: Any,
    decoder: SharedImageDecoder,
    embedding: Embedding,
    marks: Marks,
    mask_logits: NDArray[np.float32] | None,
    multimask: bool,
) -> Prediction:
    """Return what a ``sam2`` network makes of marks and an earlier mask, one of which must be.

    Parameters
    ----------
    network, decoder : SAM2Base, SharedImageDecoder
        The network.
    embedding : Embedding
        The image.
    marks : tuple of ndarray
        As `clicks` returns them; may be none beside a mask.
    mask_logits : ndarray of float32, shape (h, w), optional
        The earlier mask.
    multimask : bool
        Three masks, or one.
    """
    given = _scaled(network, [marks], embedding.shape) if len(marks[0]) else None
    mask = None
    if mask_logits is not None:
        mask = torch.from_numpy(mask_logits)[None, None].to(network.device)
    sparse, dense = network.sam_prompt_encoder(given, boxes=None, masks=mask)
    shared = embedding.shared
    if mask is not None:
        shared = decoder.share(embedding.embedding, embedding.high_resolution, dense)
    logits, iou = decoder.masks(shared, sparse, multimask)
    measured = measure_masks(logits[0], embedding.shape)
    masks = np.stack([mask_of_runs(each.runs, embedding.shape) for each in measured])
    # As the reference clamps what it takes as a mask prompt again.
    small = logits[0].clamp(-32, 32)
    return Prediction(masks, iou[0].cpu().numpy(), small.cpu().numpy())


def _scaled(network: Any, marks: Sequence[Marks], shape: tuple[int, int]) -> Sequence[Tensor]:
    """Turn marks into what the prompt encoder wants: (x, y) in pixels of the network's input."""
    places, said = (np.stack(each) for each in zip(*marks, strict=True))
    # The one place where (row, column) becomes SAM 2's (x, y).
    xy = torch.from_numpy(places[..., ::-1].copy()) / torch.tensor([shape[1], shape[0]])
    coords = (xy * network.image_size).to(network.device)
    return coords, torch.from_numpy(said).to(network.device)


@torch.no_grad()
def _answer_all(
    network: Any, decoder: SharedImageDecoder, embedding: Embedding, marks: Sequence[Marks]
) -> tuple[Tensor, Tensor]:
    """Return what `Segmenter.answer_all` does; arguments as for `answer`."""
    given = _scaled(network, marks, embedding.shape)
    sparse, _ = network.sam_prompt_encoder(given, boxes=None, masks=None)
    logits, iou = decoder.masks(embedding.shared, sparse, multimask=False)
    return logits[:, 0], iou[:, 0]


POOL_BYTES = 64 * 2**20
"""Memory for candidates of the images last used, to go on with."""


class Segmenter:
    """One SAM 2 network with its memory of recent images.

    Parameters
    ----------
    model : str
        "bundled", an official name such as "sam2.1_hiera_tiny", or a path to a checkpoint.
    device : str
        "auto", "cpu", "cuda" or "mps".
    steady : bool
        For many images, one after the other: nothing but the last one is remembered, and batches
        have one size, not the fastest, on which the last bit of a logit depends.

    Attributes
    ----------
    defects : DefectFinder
        Maps of defects.
    redraws : bool
        Whether its answers to prompts are drawn again on the picture (`clicks.redrawn`), and the
        map of defects answers, too. Those of the bundled network, whose outlines are soft, are
        better for it (docs/model-card.md); those of official networks stay as they are.
    """

    def __init__(
        self, model: str = "bundled", *, device: str = "auto", steady: bool = False
    ) -> None:
        from napari_semxai.backends.sam2.checkpoints import choose_device, load_network

        self._use(*load_network(model, choose_device(device)), steady=steady)

    @classmethod
    def from_network(cls, network: Any, info: ModelInfo) -> Segmenter:
        """Make a segmenter of a ``sam2`` network that is in memory already."""
        segmenter = cls.__new__(cls)
        segmenter._use(network, info)
        return segmenter

    def _use(self, network: Any, info: ModelInfo, *, steady: bool = False) -> None:
        self.info = info
        self.network = network.eval()
        self.redraws = isinstance(network.image_encoder.trunk, LiteTrunk)
        self._decoder = SharedImageDecoder(network)
        # Steady: each image as if it came first, so that a batch gives the same on every worker.
        self._sizer = BatchSizer(network.device, steady=steady)
        self._images = Embeddings(network, self._decoder, last_only=steady)
        self.defects = DefectFinder(network, self._images, last_only=steady)
        self._progress = Recent[Progress](0 if steady else POOL_BYTES, lambda value: value.nbytes)

    @property
    def mask_prompt_shape(self) -> tuple[int, int]:
        """Shape (h, w) of the logits of a mask prompt."""
        rows, columns = self.network.sam_prompt_encoder.mask_input_size
        return int(rows), int(columns)

    def embed(self, image: NDArray[np.uint8]) -> Embedding:
        """Encode an image, or recall it: the key is the image's content.

        Parameters
        ----------
        image : ndarray of uint8, shape (M, N) or (M, N, 3)
            The image.
        """
        return self._images.of(image)

    def remembers(self, image: NDArray[np.uint8]) -> bool:
        """Return whether an image was encoded and is still in memory."""
        return self._images.remember(image)

    def generate(
        self,
        image: NDArray[np.uint8],
        settings: GenerateSettings,
        difference: Difference | None = None,
        *,
        mapped: bool = True,
    ) -> Generator[GenerateUpdate, None, None]:
        """Decode a grid of points coarse to fine.

        Closing the iterator between two updates cancels; what was decoded is remembered, so
        that asking again goes on from there. So does asking with a lower predicted-IoU floor.

        Parameters
        ----------
        image : ndarray of uint8, shape (M, N) or (M, N, 3)
            The image.
        settings : GenerateSettings
            Grid, crops and floor.
        difference : Difference, optional
            From a reference. Its clearest parts are asked about at last, on its own picture; the
            answers are `CandidatePool.proposed`.
        mapped : bool
            Whether the pool gets `CandidatePool.defect_logits` beside `compared_logits`.

        Yields
        ------
        GenerateUpdate
            One before each encoding, one a batch; with a pool after each level and at least
            every 128 points. The last one has the complete pool.
        """
        check_image(image)
        key, progress = self._known(image, settings)
        difference = None if difference is None or difference.reason else difference

        def embed(box: Box) -> Embedding:
            return self.embed(image[box[0] : box[2], box[1] : box[3]])

        generation = Generation(self.network, self._decoder, self._sizer, embed)
        try:
            for update in generation.run(progress, settings.pred_iou_floor):
                pool = update.pool
                if pool is not None:
                    # With the first pool, whose image was encoded last.
                    pool = self.defects.mapped(pool, image, difference, mapped)
                yield replace(update, pool=pool)
        finally:
            self._progress.put(key, progress)
        if difference is not None and (prompts := prompts_at(difference)):
            pool = self.defects.mapped(self.found(image, settings), image, difference, mapped)
            ask = partial(self.answer_all, difference.signed)
            pool = pool.with_proposed(prompted_pool(pool.shape, prompts, ask))
            yield GenerateUpdate("decode", n := sum(map(len, progress.reached)), n, 0.0, pool)

    def found(self, image: NDArray[np.uint8], settings: GenerateSettings) -> CandidatePool:
        """Return the candidates a generation has decoded so far, also one that was cancelled."""
        pool = self._known(image, settings)[1].builder.build()
        return replace(pool, defect_logits=self.defects.known(image))

    def _known(
        self, image: NDArray[np.uint8], settings: GenerateSettings
    ) -> tuple[tuple[object, ...], Progress]:
        shape = (image.shape[0], image.shape[1])
        key = (image_digest(image), settings.points_per_side, settings.crop_n_layers)
        known = self._progress.get(key)
        return key, known or Progress(shape, plan_crops(shape, settings))

    def predict(
        self,
        image: NDArray[np.uint8],
        points: NDArray[Any],
        labels: NDArray[Any],
        box: tuple[float, float, float, float] | None = None,
        mask_logits: NDArray[np.float32] | None = None,
        multimask: bool = True,
    ) -> Prediction:
        """Answer clicks, a box and an earlier mask.

        The image is encoded by the first prompt on it and remembered, so that every further
        one takes milliseconds (docs/performance.md).

        Parameters
        ----------
        image : ndarray of uint8, shape (M, N) or (M, N, 3)
            The image.
        points : ndarray, shape (p, 2)
            Clicks (row, column); p may be 0 with a box or a mask.
        labels : ndarray of int, shape (p,)
            1 for foreground, 0 for background.
        box : tuple of float, optional
            (row0, col0, row1, col1).
        mask_logits : ndarray of float32, shape (h, w), optional
            One of `Prediction.logits` of an earlier answer. Such a prompt changes the image
            embedding, so that nothing of it is shared and the answer takes a little longer.
        multimask : bool
            Three masks for an ambiguous prompt, or one.

        Raises
        ------
        InputError
            If there is no prompt, or points and labels differ in number.
        """
        points = np.asarray(points, dtype=np.float32).reshape(-1, 2)
        if len(points) != len(labels):
            raise InputError(f"{len(points)} points need as many labels, got {len(labels)}.")
        if len(points) == 0 and box is None and mask_logits is None:
            raise InputError("A prediction needs at least one point, a box or a mask.")
        given = self.embed(image), clicks(points, labels, box), mask_logits, multimask
        return self._answered(partial(answer, self.network, self._decoder, *given))

    def answer_all(
        self, image: NDArray[np.uint8], prompts: Sequence[Prompts]
    ) -> tuple[Tensor, Tensor]:
        """Return logits (n, h, w) and predicted IoU (n,) of one mask for each of some prompts.

        They are decoded together: all have as many clicks, and all a box or none.
        """
        marks = [clicks(each.points, each.foreground, each.box) for each in prompts]
        given = self.network, self._decoder, self.embed(image), marks
        return self._answered(partial(_answer_all, *given))

    def _answered(self, asked: Callable[[], Answer]) -> Answer:
        small = isinstance(self.network.image_encoder.trunk, LiteTrunk)
        return on_one_core(asked) if small and self.network.device.type == "cpu" else asked()


def generate_candidates(  # noqa: PLR0913 - the public signature is fixed
    image: NDArray[np.uint8],
    *,
    model: str = "bundled",
    points_per_side: int = 32,
    pred_iou_thresh: float | None = None,
    stability_score_thresh: float | None = None,
    box_nms_thresh: float = 0.7,
    device: str = "auto",
    progress: Callable[[GenerateUpdate], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> CandidatePool:
    """Return the mask candidates SAM 2's automatic mask generator would return.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        The image.
    model : str
        "bundled", an official name such as "sam2.1_hiera_tiny", or a path to a checkpoint.
    points_per_side : int
        The grid holds ``points_per_side ** 2`` prompts.
    pred_iou_thresh, stability_score_thresh : float, optional
        As in SAM 2; by default 0.8 and 0.95 as there, and the bundled network's own for it
        (`napari_semxai.types.settings.usual_filters`).
    box_nms_thresh : float
        As in SAM 2.
    device : str
        "auto", "cpu", "cuda" or "mps".
    progress : callable, optional
        Called with every update.
    cancel : callable, optional
        Asked after every update; True stops, and the candidates found by then are returned.

    Returns
    -------
    CandidatePool
        In the reference generator's order.
    """
    segmenter = Segmenter(model, device=device)
    chosen = usual_filters(
        model,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_score_thresh,
        box_nms_thresh=box_nms_thresh,
    )
    settings = GenerateSettings(points_per_side, pred_iou_floor=chosen.pred_iou_thresh)
    updates = segmenter.generate(image, settings)
    for update in updates:
        if progress is not None:
            progress(update)
        if cancel is not None and cancel():
            break
    updates.close()
    pool = segmenter.found(image, settings)
    return pool.take(filter_candidates(pool, chosen))
