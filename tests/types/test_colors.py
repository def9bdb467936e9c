"""Texts can be read on every theme, and colours told apart by every eye."""

from itertools import combinations

import numpy as np
import pytest
from napari.utils.theme import get_theme
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_semxai.types import colors
from napari_semxai.widgets.project.queue_list import COLORS

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE TVCG 2009: no cones of one kind, in linear RGB.
EYES = {
    "full": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
GREYS = tuple(f"#{value:02x}{value:02x}{value:02x}" for value in range(0, 256, 5))
# What lies over one image at a time.
ROLES = {
    "mask": ("DEFECT", "AUTOMATIC", "TRUTH", "HEAT", "PREVIEW", "IGNORED"),
    "steps": ("WINNER", "COMPLEMENT", "DEFECT", "AUTOMATIC"),
    "annotators": ("BOTH", "ONLY_OTHER", "ONLY_THIS"),
    "clicks": ("FOREGROUND_CLICK", "BACKGROUND_CLICK", "DEFECT", "PREVIEW"),
}


def linear(color: str) -> np.ndarray:
    values = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """Return the ratio of WCAG 2."""
    low, high = sorted(float(linear(one) @ (0.2126, 0.7152, 0.0722)) for one in (first, second))
    return (high + 0.05) / (low + 0.05)


def seen(color: str, eye: str) -> np.ndarray:
    values = np.clip(EYES[eye] @ linear(color), 0, 1)
    gamma = np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)
    return rgb2lab(gamma[None, None])[0, 0]


def test_states_are_read_on_their_colours() -> None:
    for color in (*COLORS.values(), *colors.SERIES, *GREYS):
        text = colors.chip("state", color)
        assert f"background-color:{color}" in text
        assert contrast(text.partition("; color:")[2][:7], color) >= 4.5


@pytest.mark.parametrize("name", ["dark", "light"])
def test_text_is_read_on_both_themes(name: str) -> None:
    theme = get_theme(name)
    text = theme.text.as_hex("long")
    for ground in (theme.background, theme.foreground):
        assert contrast(text, ground.as_hex("long")) >= 4.5


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("together", ROLES)
def test_what_lies_over_one_image_is_told_apart(eye: str, together: str) -> None:
    for first, second in combinations(ROLES[together], 2):
        one, other = (seen(getattr(colors, role), eye) for role in (first, second))
        assert deltaE_ciede2000(one, other) >= 12, (first, second)
