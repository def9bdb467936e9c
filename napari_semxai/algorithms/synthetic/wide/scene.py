"""Scenes of many kinds beside those of `make_scene`: what is painted and what befalls it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.defects import Painted, paint_defect
from napari_semxai.algorithms.synthetic.fields import smooth_noise
from napari_semxai.algorithms.synthetic.scene import (
    draw_strip,
    expose,
    jpeg_artefacts,
    strip_mask,
    surface_levels,
    to_uint8,
)
from napari_semxai.algorithms.synthetic.spec import LABELS, Region, Scene, sample_spec
from napari_semxai.algorithms.synthetic.wide import materials, objects, structures
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, list_regions, soften
from napari_semxai.algorithms.synthetic.wide.materials import streaks
from napari_semxai.algorithms.synthetic.wide.plates import PLATES, Plate, scale_plate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic.fields import Field
    from napari_semxai.types import BoolMask

    Paint = Callable[[Canvas], None]


def darken_half(canvas: Canvas) -> None:
    """Leave one side in the dark: softly by a shadow, or sharply past an edge.

    Past a sharp edge lies another level; both sides become regions.
    """
    rows = np.linspace(-1, 1, canvas.shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, canvas.shape[1], dtype=np.float32)[None, :]
    angle = canvas.rng.uniform(0, 2 * np.pi)
    place = np.float32(np.sin(angle)) * rows + np.float32(np.cos(angle)) * columns
    place = (
        place
        + canvas.between(-0.5, 0.5)
        + canvas.between(0, 0.2) * canvas.noise(canvas.spread(60, 400))
    )
    keep = canvas.between(0.0, 0.45)
    if canvas.chance(0.6):
        width = canvas.between(0.08, 0.7)
        light = 1 / (1 + np.exp(np.clip(place / width * 4, -30, 30)))
    else:
        pixels = place * np.float32(min(canvas.shape) / 2)
        light = np.clip(np.float32(0.5) - pixels / canvas.between(1, 4), 0, 1)
        if canvas.chance(0.5):
            canvas.image += canvas.between(20, 120) * np.exp(
                -np.square(np.clip(pixels / 3, -4, 4))
            )
        canvas.add("material", place > 0)
        canvas.add("material", place <= 0)
    light = keep + (1 - keep) * light
    canvas.image *= light
    _hide(canvas, light > 0.12)


def _hide(canvas: Canvas, seen: BoolMask) -> None:
    """Take what nobody can see out of the regions."""
    for layer in canvas.layers:
        if layer.kinds != ["material"]:
            layer.labels = layer.labels * seen
    canvas.defects = [
        Painted(item.kind, item.mask & seen, tuple(part & seen for part in item.parts))
        for item in canvas.defects
    ]


def charge(canvas: Canvas) -> None:
    """Charge what stands out: halos, streaks along the scan lines, uneven lines."""
    things = _things(canvas)
    rng = canvas.rng
    if things.any() and canvas.chance(0.7):
        soft = soften(things.astype(np.float32), canvas.spread(6, 36) * canvas.size)
        sign = 1 if canvas.chance(0.65) else -0.7
        canvas.image += np.float32(sign) * canvas.between(20, 160) * soft
    if canvas.chance(0.7):
        # What a line meets changes the level of what follows on it, on both sides.
        weight = things.astype(np.float32) if things.any() else _spots(canvas)
        decay = np.exp(-1 / (canvas.between(0.03, 0.5) * canvas.shape[1]))
        trail = _trail(weight[::2, ::4], float(decay) ** 4)
        trail = np.repeat(np.repeat(trail, 2, 0), 4, 1)[: canvas.shape[0], : canvas.shape[1]]
        peak = max(1e-6, float(trail.max()))
        canvas.image += canvas.between(-90, 110) / np.float32(peak) * trail
    if canvas.chance(0.5):
        lines = smooth_noise(rng, (canvas.shape[0], 1), canvas.spread(1.5, 40))
        canvas.image += canvas.between(2, 14) * lines
    if canvas.chance(0.25):
        jump = int(rng.integers(canvas.shape[0]))
        canvas.image[jump:] += canvas.between(-40, 40)


def _things(canvas: Canvas) -> BoolMask:
    """Return what may charge: the defects, or some regions of the topmost layer."""
    if canvas.defects:
        return np.asarray(np.logical_or.reduce([item.mask for item in canvas.defects]))
    if not canvas.layers:
        return np.zeros(canvas.shape, bool)
    layer = canvas.layers[-1]
    charged = canvas.rng.random(len(layer.kinds) + 1) < 0.25
    charged[0] = False
    return np.asarray(charged[layer.labels])


def _spots(canvas: Canvas) -> NDArray[np.float32]:
    return (canvas.noise(canvas.spread(20, 80)) > 1.4).astype(np.float32)


def _trail(weight: NDArray[np.float32], decay: float) -> NDArray[np.float32]:
    """Sum of what lies to the left on each line, forgotten by `decay` a pixel."""
    trail = np.empty_like(weight)
    memory = np.zeros(len(weight), np.float32)
    for column in range(weight.shape[1]):
        memory = np.float32(decay) * memory + weight[:, column]
        trail[:, column] = memory
    return trail


def drift(canvas: Canvas) -> None:
    """Shift the scan lines: sheared, wavy, trembling or with a jump; regions go along."""
    rows = canvas.shape[0]
    place = np.linspace(-0.5, 0.5, rows, dtype=np.float32)
    shift = canvas.between(-0.22, 0.22) * np.float32(rows) * place
    if canvas.chance(0.6):
        scale = canvas.spread(12, 200)
        shift += (
            canvas.between(0.02, 0.2)
            * np.float32(scale)
            * smooth_noise(canvas.rng, (rows, 1), scale)[:, 0]
        )
    if canvas.chance(0.4):
        shift += canvas.between(0.2, 1.5) * canvas.rng.standard_normal(rows, dtype=np.float32)
    if canvas.chance(0.3):
        jump = int(canvas.rng.integers(rows))
        shift[jump:] += canvas.between(-25, 25)
    columns = np.arange(canvas.shape[1], dtype=np.float32)[None, :] + shift[:, None]
    # Mirrored at the sides, so that no line runs out of the picture.
    last = np.float32(canvas.shape[1] - 1)
    columns = np.clip(last - np.abs(last - np.abs(columns)), 0, last)
    low = np.minimum(columns.astype(np.int32), canvas.shape[1] - 2)
    part = columns - low
    line = np.arange(rows)[:, None]
    canvas.image = canvas.image[line, low] * (1 - part) + canvas.image[line, low + 1] * part
    near = low + (part >= 0.5)
    for layer in canvas.layers:
        layer.labels = layer.labels[line, near]
    canvas.defects = [
        Painted(item.kind, item.mask[line, near], tuple(p[line, near] for p in item.parts))
        for item in canvas.defects
    ]


def draw_bar(rng: np.random.Generator, image: Field) -> list[Region]:
    """Draw an info bar along the lower (now and then the upper) edge, in place.

    Returns
    -------
    list of Region
        The bar first, then what it holds.
    """
    rows, columns = image.shape
    height = max(13, round(rng.uniform(0.045, 0.115) * rows))
    plate = _make(rng, height, columns)
    row = 0 if rng.random() < 0.04 else rows - height
    back, ink = _tones(rng)
    image[row : row + height] = np.float32(back) + plate.ink * np.float32(ink - back)
    return plate.regions(image.shape, (row, 0), "info_bar")


def write_over(rng: np.random.Generator, image: Field) -> list[Region]:
    """Write a caption over the picture, or only a scale bar in a corner, in place.

    Returns
    -------
    list of Region
        The caption's box first if it has a ground of its own, then what it holds.
    """
    rows, columns = image.shape
    ink = 255.0 if rng.random() < 0.8 else 0.0
    if rng.random() < 0.45:
        height, width = (
            round(rng.uniform(0.05, 0.09) * rows),
            round(rng.uniform(0.12, 0.3) * columns),
        )
        plate = Plate(rng, np.zeros((height, width), np.float32))
        scale_plate(plate)
    else:
        height, width = round(rng.uniform(0.04, 0.075) * rows), columns
        if rng.random() < 0.3:
            width = round(rng.uniform(0.75, 0.97) * columns)
        plate = _make(rng, height, width)
    corner = rng.uniform((0.88, 0.02), (0.97, 0.98)) * (rows, columns) - (height, width)
    row, column = np.clip(corner, 0, np.array(image.shape) - (height, width)).astype(int)
    view = image[row : row + height, column : column + width]
    backed = rng.random() < 0.35
    if backed:
        view[:] = 255 - ink
    elif rng.random() < 0.4:
        # A dark (or bright) outline keeps letters legible.
        view += ndimage.maximum_filter(plate.ink, 3) * (np.float32(255 - ink) - view)
    view += plate.ink * (np.float32(ink) - view)
    return plate.regions(image.shape, (int(row), int(column)), "info_bar" if backed else None)


def _make(rng: np.random.Generator, height: int, width: int) -> Plate:
    plate = Plate(rng, np.zeros((height, width), np.float32))
    list(PLATES.values())[int(rng.integers(len(PLATES)))](plate)
    return plate


def _tones(rng: np.random.Generator) -> tuple[float, float]:
    """Grey levels of the bar and of its ink."""
    share = rng.random()
    if share < 0.6:
        return float(rng.choice((0.0, 0.0, 8.0))), 255.0
    if share < 0.85:
        return float(rng.choice((255.0, 255.0, 235.0))), 0.0
    back = float(rng.uniform(50, 200))
    return back, 255.0 if back < 140 else 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How scenes of one kind are made.

    Attributes
    ----------
    paints : tuple of callable
        What lies on the surface, one of them a scene; any of all kinds' where empty.
    effect : callable or None
        What every scene of the kind goes through.
    captioned : bool
        Whether every scene has an info bar or a caption.
    """

    paints: tuple[Paint, ...] = ()
    effect: Paint | None = None
    captioned: bool = False


def _nothing(_canvas: Canvas) -> None:
    """Leave the surface as it is."""


WIDE_KINDS: dict[str, Kind] = {
    "info bar": Kind(captioned=True),
    "two materials": Kind((materials.paint_halves,)),
    "layers": Kind((materials.paint_layers,)),
    "half dark": Kind(effect=darken_half),
    "grains": Kind((materials.paint_grains,)),
    "crystals": Kind((objects.paint_crystals,)),
    "clumps": Kind((objects.paint_clumps, objects.paint_clumps, objects.paint_powder)),
    "fingers": Kind((structures.paint_combs, structures.paint_dendrite)),
    "holes": Kind(
        (
            structures.paint_hole_array,
            structures.paint_single_hole,
            structures.paint_pores,
        )
    ),
    "charging": Kind(effect=charge),
    "drift": Kind(effect=drift),
    "overview": Kind((objects.paint_scatter, objects.paint_dies, objects.paint_fibres)),
}
"""Kinds of scenes by name."""
_PAINTS = (
    _nothing,
    structures.paint_pattern,
    *(paint for kind in WIDE_KINDS.values() for paint in kind.paints),
)
_LABEL_OF = {kind: label for label, kind in LABELS.items() if label < 5}
_LABEL_OF |= {"agglomerate": 1, "dendrite": 1, "void": 2}
CAPTION, HALF_DARK, CHARGING, DRIFT = 0.45, 0.08, 0.15, 0.1
"""Shares of the other kinds' scenes that have this too."""


def wide_scene(kind: str, seed: int, shape: tuple[int, int] = (480, 480)) -> Scene:
    """Make a scene of one of the `WIDE_KINDS`, the same for the same arguments.

    Parameters
    ----------
    kind : str
        Its name.
    seed : int
        Fixes everything else.
    shape : tuple of int
        (M, N) of the image, 64 or more each.

    Returns
    -------
    Scene
        Regions as those of `make_scene`, and "material", "grain", "grain_part", "inclusion",
        "object", "facet", "clump", "clump_part", "pad", "hole_floor", "text", "text_block",
        "bar_cell", "logo" and "scale_bar"; a defect's own kind may be "agglomerate",
        "dendrite" or "void" too. "rest" is the union of a level's pieces that are too many or
        too small to be listed.

    Raises
    ------
    ValueError
        For an unknown kind.
    """
    if kind not in WIDE_KINDS:
        raise ValueError(f"kind {kind!r}: choose one of {sorted(WIDE_KINDS)}")
    made = WIDE_KINDS[kind]
    number = list(WIDE_KINDS).index(kind)
    canvas = _prepare(np.random.default_rng([seed, number]), shape)
    rng = canvas.rng
    paints = made.paints or _PAINTS
    paints[int(rng.integers(len(paints)))](canvas)
    _paint_defects(canvas)
    for effect, share in (
        (darken_half, HALF_DARK),
        (charge, CHARGING),
        (drift, DRIFT),
    ):
        if rng.random() < share or made.effect is effect:
            effect(canvas)
    return _finish(canvas, made.captioned)


def _prepare(rng: np.random.Generator, shape: tuple[int, int]) -> Canvas:
    """Draw what holds for the whole picture and paint the bare surface."""
    spec = sample_spec(rng, shape)
    angle = rng.uniform(0, 2 * np.pi)
    light = (float(np.sin(angle)), float(np.cos(angle)))
    canvas = Canvas(rng, spec, light, surface_levels(rng, spec))
    if canvas.chance(0.25):
        scale = canvas.spread(6, 60)
        canvas.image += canvas.between(0, 0.12) * np.float32(spec.level) * canvas.noise(scale)
    if canvas.chance(0.1):
        # Marks of polishing.
        lines = (
            streaks(rng, shape, 400, 2.2) if canvas.chance(0.5) else streaks(rng, shape, 2.2, 400)
        )
        canvas.image += canvas.between(1, 9) * lines
    return canvas


def _paint_defects(canvas: Canvas) -> None:
    """Add defects of the usual classes; a few scenes have none, some several."""
    rng = canvas.rng
    chances = (0.75, 0.25, 0, 0, 0) if canvas.defects else (0.2, 0.5, 0.15, 0.1, 0.05)
    label = int(rng.integers(1, 5))
    for _ in range(int(rng.choice(5, p=chances))):
        spec = replace(
            canvas.spec,
            label=label,
            level=float(canvas.image.mean()),
            contrast=float(rng.uniform(0.6, 1.7)),
            radius=canvas.spec.radius * float(np.exp(rng.normal(0, 0.2))),
        )
        canvas.defects.append(paint_defect(rng, spec, canvas.image, canvas.light))


def _finish(canvas: Canvas, captioned: bool) -> Scene:
    """Expose the picture, write under or over it, and list the regions."""
    rng, spec = canvas.rng, canvas.spec
    image = expose(rng, spec, canvas.image)
    caption: list[Region] = []
    if captioned or rng.random() < CAPTION:
        caption = (draw_bar if rng.random() < 0.75 else write_over)(rng, image)
    strip = strip_mask(spec) if not caption else np.zeros(spec.shape, bool)
    if strip.any():
        draw_strip(rng, image, strip)
    if spec.jpeg:
        image = jpeg_artefacts(np.clip(image, 0, 255), spec.jpeg)
    visible = ~strip
    for region in caption:
        visible &= ~region.mask
    regions = list_regions(canvas, visible)
    defect = np.zeros(spec.shape, bool)
    for region in regions:
        if region.kind == "defect":
            defect |= region.mask
    if strip.any():
        regions.append(Region("edge_strip", strip))
    label = max((_LABEL_OF.get(region.kind, 0) for region in regions), default=0) or 6
    return Scene(to_uint8(image), defect, label, (*regions, *caption))
