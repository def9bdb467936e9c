"""What may be a defect, and how it looks.

Suspects are the components of the surface's complement, the parts that evidence stands out in, and
the candidates that lie on those, because each draws other outlines well. Each is described by its
contrast against the surface around it, the sharpness of its outline, its size and shape, whether
it lies at an edge, how many others are as large, because a pattern repeats and a defect seldom
does, how like it the candidate is that is most like it, and by what each evidence says of it,
inside and around. A logistic model turns that into the IoU to expect with a defect, beside a
reference a perceptron, as the same number means other things of a difference and of a map. The
best comes first, and what overlaps with a better one is left out.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.appearance import (
    SMALLEST,
    Box,
    Surroundings,
    fill_and_edge,
)
from napari_semxai.algorithms.algorithm1.evidence import BESIDE, SAID, Evidence
from napari_semxai.types import BoolMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.types import CandidatePool, LeftOut

LOOKS = (
    "contrast",
    "outline",
    "size",
    "size squared",
    "fill",
    "edge",
    "repetition",
    "agreement",
)
SHOWN = ("contrast", "outline")
"""How a suspect looks in the picture of the evidence."""
LARGEST = 0.25
"""Share of the image that a candidate of a defect has at most."""
LOWEST_LOGIT = -4.0
"""Evidence where there is nothing to judge."""

_MOST = 4.0
_ALIKE, _EMPHASIS = 0.5, 4
_MOST_COMPONENTS = 60
_SIMILAR = np.log(1.6)
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
_STRUCTURES = {4: _CROSS, 8: np.ones((3, 3), dtype=bool)}

Suspect = tuple[Box, BoolMask]


class Hidden(NamedTuple):
    """The hidden layer of a perceptron on standardised features.

    Attributes
    ----------
    mean, scale : ndarray of float32, shape (f,)
        Of the features.
    weights : ndarray of float32, shape (f, h)
        From these to the units.
    bias : ndarray of float32, shape (h,)
        Of the units.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def units(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the units (n, h) of features (n, f), of which those not known are NaN."""
        given = standardised(features, self.mean, self.scale)
        units: NDArray[np.float64] = np.maximum(given @ self.weights + self.bias, 0)
        return units


def standardised(
    features: NDArray[np.float64], mean: NDArray[np.floating], scale: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return features by their mean and deviation, none far out; NaN as the mean."""
    given: NDArray[np.float64] = np.nan_to_num((features - mean) / scale)
    return np.clip(given, -_MOST, _MOST)


class Model(NamedTuple):
    """How suspects are judged; the numbers are fitted.

    Attributes
    ----------
    coefficients : sequence of float
        Of the features, or of the hidden units.
    intercept : float
        With them the log odds of the IoU to expect.
    presence : sequence of float
        Slope and offset from the strongest suspect's log odds to those of a defect at all.
    hidden : Hidden, optional
        What stands between them and the features.
    """

    coefficients: Sequence[float]
    intercept: float
    presence: Sequence[float]
    hidden: Hidden | None = None

    def logits(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log odds of the IoU to expect of each suspect with a defect, shape (n,)."""
        seen = features if self.hidden is None else self.hidden.units(features)
        logits: NDArray[np.float64] = seen @ np.array(self.coefficients) + self.intercept
        return logits

    def probability(self, logits: NDArray[np.float64]) -> float:
        """Return the calibrated probability that an image with these suspects holds a defect."""
        slope, offset = self.presence
        strongest = max(float(logits.max(initial=LOWEST_LOGIT)), LOWEST_LOGIT)
        return float(1 / (1 + np.exp(-(slope * strongest + offset))))


def packed(model: Model) -> str:
    """Return the numbers of a model with a hidden layer as text: half precision in base 64."""
    numbers = model.coefficients, [model.intercept], model.presence, *(model.hidden or ())
    every = np.concatenate([np.ravel(one) for one in numbers]).astype("<f2")
    return b64encode(every.tobytes()).decode()


def unpacked(text: str, features: int) -> Model:
    """Return the model of which `packed` made a text, over so many features."""
    numbers = np.frombuffer(b64decode(text), "<f2").astype(np.float32)
    # Of each unit a coefficient, a bias and the weights; mean and scale of each feature.
    units = (len(numbers) - 3 - 2 * features) // (2 + features)
    sizes = [units, 1, 2, features, features, features * units, units]
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    coefficients, intercept, presence, mean, scale, weights, bias = parts
    hidden = Hidden(mean, scale, weights.reshape(features, units), bias)
    return Model(coefficients.tolist(), float(intercept[0]), presence.tolist(), hidden)


# ``python -m training.robust`` fits the first two, ``python -m training.compared`` the last.
PLAIN = Model(
    (0.096, 0.436, 0.1115, -0.1281, -1.1128, -1.343, 0.1477, 3.3671), -0.6442, (1.0679, 2.6144)
)
SEEN = Model(
    (
        0.0439,
        0.0588,
        0.2867,
        -0.1509,
        0.0797,
        -0.2557,
        0.532,
        0.6441,
        0.1886,
        -0.1554,
        0.9917,
        -0.4897,
        1.0014,
        -0.4183,
        -0.0544,
    ),
    -1.8353,
    (1.1783, 2.4991),
)
COMPARED = unpacked(
    "oy0uMEIwe7PCLhezZbP0rHqzEi/Vs9YwlbBOtZivY7JFsxS03zAcsHu2ma7RsxszjrE+tWmnJTFLsmkv7qwVr/uzC7"
    "YhMZOw97BHMNmrhi/nMGCvLrWXsjoyiLNFtF+qa7DMPYY/VTxrOzLBX0fPOHw04j3lNXA+QTkVOF45qDNuN7/Dtz2S"
    "Oxu+AMYCNyo1Gi0SOCM6GztNOg1EtjE5Olo5SjZ3PG87KTTZNNI0+zdKQe46xDmjRhVCdzdrNlU0ADhArCGoiSvTrF"
    "qy2qPgLruiUTJGspagNTKisyMrMLHJsKKtgiiGtf4qSKgMLXCwUa/OpQcupqo9Lk0uySwnsYMnPhxJLAspGbQ7q+yv"
    "L67mrZYgIrRisWcyA7SXpWKn6qYPsqIlnzTJJYcpNq8BNc4ojrFErQYs9TNmLz0WHKb8KHCuybQ9sD2n4zAPp2oebT"
    "IPMHGnVKEwrFGmEyJMp+EoxyiKqwQxlbTZIuSvTy2drYoxRKGarTYxHLJrNA2shKuJFskyZLR2JQ40HjHHoY8tPDB4"
    "LKAurCkwMFytdLSBr+UxeapTMfyuAyxaMPS1YjIlMhU0zqm5KEeywzEGLSiviTJPqlcy2qyDMCIsmK0XNPst5KjaND"
    "kx2zQZsZ8hTio7p82vwDCeLd4yKLTiLAaxAavNr+OuWrW3tW4S4TJRs0quQyr2qmwuqrBysRszdKjhqXO0Qya7NQyw"
    "H6yJm22nT7BKMScoc7CfsBE1Lao0sYsxbbRRsAeuzSk8MHwuPq0xrT8c650SqBkxA5zON+qohzgcMnEqzbMmtBsydK"
    "yzqnuwjjKzM64xHjXesq0sVKFcnCE4+qgisfgY+K3Xslmt/iGVNTyw4bbTNEyhKicJLOytErX/Krs1KiwvJESqNCOg"
    "q7ixorFCNeikLzP3MPKoWDWqLLesyTCXtLssZCc2K3ozQjX7qUGr0TCTMQkd+TDaqho1lSqNNK2xkTFlqgqrGinwLm"
    "My5almMo0pBCMwqtAysK6qNPYZEaqQJBsxmCvmqYasPa0OtISn5x3NoUoptzZaKMgqIS0soXgs7a7MMlgrOqjpJRcv"
    "QK+Gsz4vRKbWLyA31qZer+sxpiysq0WwVqoLMUuuNaejL+yzMxiBMyup2rBvMjk0IywRtSIeZxyMMgOqezXhsQE1xx"
    "x8rEosDayNLYU23zCQKIa5XrhUsnwy9LGJLsYtX7eisDO1RR+Glt20uq5EKZWwf65Jr2uskTHDuSgyUSGHLEGtEDCR"
    "LU8yUy80rj+ziC2ytB+sfKzGL2KxDy1zrsWpN6yapFwoQJWTLVkvyyM6MsGkkq5QMWapW6lur7swqy12LLItEbSIMV"
    "mrEiZ/MoyptLAdnxqwC7CXG4Ss5wzvqqCv6qbwpTAwjzG/K8AaJaz5rTso6KMkMAYuIbR1LIEwVjAWsDQyZ7KbKuux"
    "djMjMUUuvih5sHOuNbDDsAIr8igNLBiu+DIbrjSxDJsDNFCxkzLCNA0oLzCXpNM1ra1MrK8vrqzMMEmvqqs0JeauPK"
    "+/KZamJKpTMfUqjC4iLqk1KDRFtdOyBzSlq44wbK+ornSyAK/aqfMqtTABocg1wLXGsQyvBjIqJW0wTSayNfOs6qVn"
    "qOmooTFPGQMz9COoMAg2Yao6s7ow0LFCm+Wd9a6BtpufgCvMseYwsq6TsNOdxTJoL0esuzQgoFGp+qtcM2cvBrFMKI"
    "gzHK7qs+SuFDLXL2Osm7UwLq0yf5ivMpgqO54RLTCukysLMNUtHjBnpTatrKXjq2Wxcy0lMiGfW7TuqBsomyt7r041"
    "Gi8fKccb1aeluZysbrbIMuqqE6YCtRC6T6oIsEwv9CTJL9ewXLppJ06wlzUDLxW3/y6FKvG4yDB7rJO08SG+t60wsL"
    "ByMj80kjKeL3kph6mEtpu7STH6tmovSKxarSExKTICKHirQTJarRwrrDRxrdcsejQyLOEzNaa5NJI1IDJWMao0JTKe"
    "r5MtIzOHsLo1JyKJsREgYxouLJIPjC6iMwIy+zELrDGxO65ALN4sM626MjE0ni/LqVEsVSz9sF43njCzpiktgi1rpw"
    "ivPzNYs7GxFSyRrPQlxajpKq+tnzBNNKYoQyxbF96sTzFPJPMsmZyMnFSv6TGRshsuPLJZrWerk69fKuIxtCGvNIeS"
    "YrKvIOIsQTXXJekslCplMFq0qaxbsBAxODC5LZym9avNrp2oxi/AMwoyji24p3StBCo1IauvljPvMkO1x7DUK4Uu86"
    "0YL1iuHZhSLzAt/pgDqwYvB6MlruYhsR0ntGao3i4wMM0wm6KzJecslSkzMAwx7TRorawqjbQasSQ2d6Z+L0wwQLDP"
    "rkGzeajaKVOsw6KIMp4SpCeoK3SwejRINA20dY/wLLe3faxWKMSzkykiuOQsNLNKonCbii1ALJwlrzHBKe6qFTSKo6"
    "ahCrDKLqw39i+Hs0I457SFsICnRbdFNyiqBa9/sNW5vJhqtqW2l7iiM8ahZbm0tli2dTbIHHWy664OM1e1/DOVsfor"
    "xbWkuAY1Qa92tPY15S1/MpA0ciq2t+utvDRPs4e4vLGJtDawQLh1tKCwD7U9LJOwr69vJrMz3zP5NLYzKy/SttCzba"
    "+UtkoyCCwPrjYyT7mfrb604qa0tOU1nDWUMCUvFq8IMKSnRiytsyi3aaltsW65Wi6kt5sxGrcJLja0nqaWLJqshqO8"
    "uCw0TLgWLTW0OLexr+crdqhuKkK0dyAhs/u3vrQ8roitSLBasGIlwDQksim4Yq16MT0zq7Bnqws2ti5Os/Yxa7Ckso"
    "cw8i/FrBUzWDE8ttIaeqjHMKe1daxuMkovlCm3tvQ0wLapKBWz87SJNJS5STfYt+2sXawhsMq1Ga8vMOW2wqEltta1"
    "0Dccui+vdayqN2a3nDXztbW2LrttsII52B4ztvExl7WMND00IrYztLK0zDPvsty2ai2TIeig2zQOMJusi61kKoKzeD"
    "Ctsb2zQ66jLoE3ZTIPsL6scTTxJo+qqzQ7NNE0vDADtdUyIS4CsFgx5bOmM2E0ArO7NvqsMTHvryWtua3QqfMyHy38"
    "KUwxL6giM7QoKTH0sDMxeqhhKLSvASAxMF0tuClBMRCwJ6x/MgYxsi7dMYin+qwbLEawcTVfK20u4CIkrTMwVgz/sK"
    "gsdKafJpWsm63ILUsszx4UJ/6opCa0rMSy/yt0NDUwby4bMUmtJSqKMnmhFiZzKb8z/jcktW8xbjczNPY3Q7DOOvs1"
    "pTELMaw0BzJtt7Mv/S8gOc60gLghO8U1tinBt5AzBLV1O2yoMTjqM5Uvnq+TNLwyRbCEtxS4wysiNd02uLZjs5WoNy"
    "4=",
    len((*LOOKS, *SAID, *SHOWN, *BESIDE)),
)
"""How suspects are judged without evidence, by the network's map, and by a difference."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """What may be a defect, and how it looks.

    Attributes
    ----------
    boxes : list of tuple of slice
        Where each lies.
    masks : list of ndarray of bool
        Its pixels in its box.
    features : ndarray of float64, shape (n, f)
        Columns as in `LOOKS`, then with evidence `SAID`, and `SHOWN` and `BESIDE` where it has a
        picture.
    """

    boxes: list[Box]
    masks: list[BoolMask]
    features: NDArray[np.float64]

    def chosen(self, logits: NDArray[np.float64]) -> list[int]:
        """Return the numbers of those that make the mask of a defect, the best first."""
        taken: list[int] = []
        for number in np.argsort(-logits, kind="stable").tolist():
            if taken and logits[number] < 0:
                break
            area = np.count_nonzero(self.masks[number])
            if all(
                self.common(number, other) < 0.3 * min(area, np.count_nonzero(self.masks[other]))
                for other in taken
            ):
                taken.append(number)
        return taken

    def mean_outline(self, number: int, logits: NDArray[np.float64]) -> Suspect:
        """Return where the mask lies that those like one of them make together, and its pixels.

        Each pixel is decided by all that have an IoU of `_ALIKE` or more with it, the likely ones
        counting most: their outlines err in different places.
        """
        areas = np.array([np.count_nonzero(mask) for mask in self.masks])
        common = np.array([self.common(number, other) for other in range(len(areas))])
        alike = np.flatnonzero(common >= _ALIKE * (areas[number] + areas - common)).tolist()
        weights = scipy.special.expit(logits[alike]) ** _EMPHASIS
        rows, columns = (
            slice(min(side.start for side in sides), max(side.stop for side in sides))
            for sides in zip(*(self.boxes[other] for other in alike), strict=True)
        )
        inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start))
        for other, weight in zip(alike, weights, strict=True):
            top, left = (
                own.start - side.start
                for own, side in zip(self.boxes[other], (rows, columns), strict=True)
            )
            mask = self.masks[other]
            inside[top : top + mask.shape[0], left : left + mask.shape[1]] += weight * mask
        return (rows, columns), np.asarray(inside > weights.sum() / 2)

    def common(self, one: int, other: int) -> int:
        """Count the pixels that two of them share."""
        first, second = ((self.boxes[n], self.masks[n]) for n in (one, other))
        return _common(first, second)


def judge_suspects(
    gray: NDArray[np.uint8],
    surface: BoolMask,
    pool: CandidatePool,
    evidence: Evidence | None,
    *,
    connectivity: int,
    left_out: LeftOut,
) -> Suspects:
    """Describe what may be a defect; arguments as for `robust.robust_defect`, and its evidence."""
    inside, shown = left_out.window(surface.shape), left_out.seen(surface)
    everywhere = left_out.seen(np.ones_like(surface))
    candidates = _candidates(pool, left_out)
    every = _components(left_out.kept(~surface), connectivity)
    parts = drawn = range(0)
    if evidence is not None:
        parts = range(len(every), len(every) + len(evidence.boxes))
        every += zip(evidence.boxes, evidence.masks, strict=True)
        if evidence.map is not None:
            drawn = range(len(every), len(every) + len(evidence.map.boxes))
            every += zip(evidence.map.boxes, evidence.map.masks, strict=True)
        every += [one for one in candidates if _stands_out(one, evidence.parts)]
    areas = np.array([np.count_nonzero(mask) for _, mask in every], dtype=np.float64)
    rows = []
    for number, (box, mask) in enumerate(every):
        surroundings = Surroundings.of(mask, box, inside)
        size = float(np.log10(areas[number] / surface.size))
        similar = np.abs(np.log(areas / areas[number])) < _SIMILAR
        repetition = float(np.log1p(np.count_nonzero(similar) - 1))
        agreement = _agreement((box, mask), candidates)
        looks = surroundings.looks(gray, shown)
        fill, edge = fill_and_edge(mask, box, inside)
        row = [*looks, size, size**2, fill, edge, repetition, agreement]
        if evidence is not None:
            row += evidence.said(mask, box, size, number in parts)
            if evidence.picture is not None:
                row += surroundings.looks(evidence.picture, everywhere)
                row += evidence.beside(mask, box, number in drawn)
        rows.append(row)
    width = len(LOOKS)
    if evidence is not None:
        width += len(SAID) + (len(SHOWN) + len(BESIDE)) * (evidence.picture is not None)
    boxes, masks = [box for box, _ in every], [mask for _, mask in every]
    return Suspects(boxes, masks, np.array(rows).reshape(len(rows), width))


def _components(complement: BoolMask, connectivity: int) -> list[Suspect]:
    """Return the largest components: a noisy surface leaves thousands of specks."""
    labels, _ = scipy.ndimage.label(complement, structure=_STRUCTURES[connectivity])
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    order = np.argsort(-areas, kind="stable")[:_MOST_COMPONENTS]
    boxes = scipy.ndimage.find_objects(labels)
    return [
        (boxes[number - 1], labels[boxes[number - 1]] == number)
        for number in order[areas[order] >= SMALLEST].tolist()
    ]


def _candidates(pool: CandidatePool, left_out: LeftOut) -> list[Suspect]:
    """Return the candidates of a defect's size, as far as they are not left out."""
    found = []
    inside = left_out.window(pool.shape)
    fitting = (pool.areas >= SMALLEST) & (pool.areas <= LARGEST * pool.shape[0] * pool.shape[1])
    for index in np.flatnonzero(fitting).tolist():
        row0, column0, row1, column1 = pool.boxes[index].tolist()
        rows, columns = (
            slice(max(start, limit.start), min(stop, limit.stop))
            for start, stop, limit in zip((row0, column0), (row1, column1), inside, strict=True)
        )
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        mask = pool.mask_rows(index, row0, row1)[rows.start - row0 : rows.stop - row0, columns]
        if left_out.region is not None:
            mask &= ~left_out.region[rows, columns]
        if np.count_nonzero(mask) >= SMALLEST:
            found.append(((rows, columns), mask))
    return found


def _stands_out(suspect: Suspect, parts: NDArray[np.int32]) -> bool:
    box, mask = suspect
    share = 0.2 * np.count_nonzero(mask)
    return bool(np.count_nonzero(parts[box][mask]) > min(SMALLEST, share))


def _common(one: Suspect, other: Suspect) -> int:
    """Count the pixels that two suspects share."""
    both = []
    for first, second in zip(one[0], other[0], strict=True):
        both.append(slice(max(first.start, second.start), min(first.stop, second.stop)))
        if both[-1].start >= both[-1].stop:
            return 0
    parts = [
        mask[
            tuple(
                slice(part.start - side.start, part.stop - side.start)
                for part, side in zip(both, box, strict=True)
            )
        ]
        for box, mask in (one, other)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))


def _agreement(suspect: Suspect, candidates: Sequence[Suspect]) -> float:
    """Return the best IoU with a candidate, which the suspect is not."""
    best, area = 0.0, np.count_nonzero(suspect[1])
    for other in candidates:
        smaller, larger = sorted((area, np.count_nonzero(other[1])))
        if other[1] is not suspect[1] and smaller > best * larger:
            common = _common(suspect, other)
            best = max(best, common / (smaller + larger - common))
    return best
