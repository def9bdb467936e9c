"""Download of official weights, only ever when a person asks for it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, BinaryIO
from urllib.request import Request, urlopen

from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.disk.folders import models_folder
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_semxai.store.weights.models import OfficialModel

PART_SUFFIX = ".part"
# A cancel takes effect at the next block, or when this is over.
_TIMEOUT_SECONDS = 10
_BLOCK = 2**18


class DownloadCancelled(Exception):
    """The person stopped the download; nothing is left behind."""


def download_model(
    model: OfficialModel,
    folder: Path | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Download a checkpoint; it gets its name only once its size and digest are right.

    Parameters
    ----------
    model : OfficialModel
        What to get, and from where.
    folder : Path, optional
        By default `models_folder()`.
    progress : callable, optional
        Called with the bytes received so far and all of them.
    cancel : callable, optional
        Asked after every block whether to stop.

    Returns
    -------
    Path
        The file, ``<name>.pt``.

    Raises
    ------
    InputError
        When the network, the disk or the file received is at fault.
    DownloadCancelled
        When `cancel` said so.
    """
    target = (folder or models_folder()) / model.file_name
    part = target.with_name(target.name + PART_SUFFIX)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(target.parent, model)
        with part.open("wb") as file:
            _receive(model, file, progress or _ignore, cancel or _never)
        _check_received(part, model)
        # Under its name only now: whoever finds the file may load it.
        part.replace(target)
    except (HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"{model.name}: could not be downloaded from {model.address} ({reason}); behind a "
            "proxy set HTTPS_PROXY, or fetch the file on another machine and bring it in with: "
            "semxai models import FILE"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return target


def digest_note(model: OfficialModel, sha256: str) -> str:
    """Return what a person reads about the digest of a downloaded file."""
    known = "verified" if model.sha256 else "not known beforehand, so not verified"
    return f"sha256 {sha256}, {known}"


def _receive(
    model: OfficialModel,
    file: BinaryIO,
    progress: Callable[[int, int], None],
    cancel: Callable[[], bool],
) -> None:
    """Copy the answer into `file`."""
    received = 0
    request = Request(model.address, headers={"User-Agent": "napari-semxai"})
    with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        announced = answer.headers.get("Content-Length")
        if announced is not None and int(announced) != model.size:
            raise InputError(_wrong_size(model, int(announced)))
        while block := answer.read1(_BLOCK):
            if cancel():
                raise DownloadCancelled(model.name)
            received += len(block)
            # Not after the fact: a proxy's answer without length could fill the disk.
            if received > model.size:
                raise InputError(_wrong_size(model, received))
            file.write(block)
            progress(received, model.size)


def _check_received(part: Path, model: OfficialModel) -> None:
    size = part.stat().st_size
    if size != model.size:
        raise InputError(_wrong_size(model, size))
    # What lies on the disk, not what came over the wire: another window may download as well.
    digest = file_sha256(part)
    if model.sha256 not in (None, digest):
        raise InputError(
            f"{model.name}: {model.address} answered with other contents (sha256 {digest} "
            f"instead of {model.sha256}); nothing was kept"
        )


def _check_space(folder: Path, model: OfficialModel) -> None:
    free = shutil.disk_usage(folder).free
    if free < model.size:
        raise InputError(
            f"{folder}: {free / 1e6:.0f} MB free, {model.name} needs {model.size / 1e6:.0f} MB; "
            "choose another folder with SEMXAI_MODEL_DIR"
        )


def _wrong_size(model: OfficialModel, size: int) -> str:
    return (
        f"{model.name}: {model.address} gave {size:,} bytes instead of {model.size:,} (cut off, "
        "or a proxy's page); nothing was kept, try again"
    )


def _ignore(done: int, total: int) -> None:
    pass


def _never() -> bool:
    return False
