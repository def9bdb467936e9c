"""Scenes of many kinds beside those of `make_scene`: what is painted and what befalls it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic import imaging
from napari_semxai.algorithms.synthetic.defects import paint_defect
from napari_semxai.algorithms.synthetic.spec import LABELS, Region, Scene, sample_spec
from napari_semxai.algorithms.synthetic.wide import effects, materials, objects, structures
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, list_regions
from napari_semxai.algorithms.synthetic.wide.effects import draw_bar, write_over
from napari_semxai.algorithms.synthetic.wide.materials import streaks

if TYPE_CHECKING:
    from collections.abc import Callable

    Paint = Callable[[Canvas], None]


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
    "half dark": Kind(effect=effects.darken_half),
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
    "charging": Kind(effect=effects.charge),
    "drift": Kind(effect=effects.drift),
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
        (effects.darken_half, HALF_DARK),
        (effects.charge, CHARGING),
        (effects.drift, DRIFT),
    ):
        if rng.random() < share or made.effect is effect:
            effect(canvas)
    return _finish(canvas, made.captioned)


def _prepare(rng: np.random.Generator, shape: tuple[int, int]) -> Canvas:
    """Draw what holds for the whole picture and paint the bare surface."""
    spec = sample_spec(rng, shape)
    angle = rng.uniform(0, 2 * np.pi)
    light = (float(np.sin(angle)), float(np.cos(angle)))
    canvas = Canvas(rng, spec, light, imaging.surface_levels(rng, spec))
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
    image = imaging.expose(rng, spec, canvas.image)
    caption: list[Region] = []
    if captioned or rng.random() < CAPTION:
        caption = (draw_bar if rng.random() < 0.75 else write_over)(rng, image)
    strip = imaging.strip_mask(spec) if not caption else np.zeros(spec.shape, bool)
    if strip.any():
        imaging.draw_strip(rng, image, strip)
    if spec.jpeg:
        image = imaging.jpeg_artefacts(np.clip(image, 0, 255), spec.jpeg)
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
    return Scene(imaging.to_uint8(image), defect, label, (*regions, *caption))
