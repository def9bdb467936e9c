"""Small TIFF files with the tags of microscopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

FEI_HELIOS, FEI_SFEG, ZEISS_SEM = 34682, 34680, 34118


def fei_header(width: float, height: float, field: float) -> str:
    return (
        "[User]\r\nUser=supervisor\r\n[System]\r\nDnumber=D9999\r\n[Scan]\r\n"
        f"PixelWidth={width}\r\nPixelHeight={height}\r\n"
        f"HorFieldsize=1e-05\r\nVerFieldsize={field}\r\n"
    )


def zeiss_header(pixel: float) -> str:
    numbers = ["", "0", "0", "0", f"{pixel:.6e}", "0", "0"]
    named = ["AP_PIXEL_SIZE", "Pixel Size = 5.825 nm", "AP_MAG", "Mag = 50.00 K X"]
    return "\r\n".join(numbers[1:] + named) + "\r\n"


def write(path: Path, image: np.ndarray, tag: int, text: str) -> None:
    tifffile.imwrite(path, image, extratags=[(tag, "s", 0, text, True)], metadata=None)
