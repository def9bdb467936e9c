"""What the directories of a TIFF file may claim, looked at before anything believes them.

A directory that a few bytes were changed in can name as many values as fit into the file, again
and again, or a picture of any size: tifffile would read all of it first. Big files are measured
by their own size, so none that is whole is refused.
"""

from __future__ import annotations

import logging
import math
import os
import struct
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


_logger = logging.getLogger(__name__)
# What tifffile logs while this package reads; None at all other times.
_LOGGED: ContextVar[list[str] | None] = ContextVar("logged", default=None)
_CLASSIC, _BIG = 42, 43
_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 2, 8, 8, 8, 8)
_MOST_TAGS = 4096
_MOST_VALUES = 2**22
_FILE_SIZES, _SHARED = 4, 2**16
_UNPACKED, _DECOMPRESSED, _ALWAYS = 16, 10_000, 2**28


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file whose directories claim no more than it can hold.

    What tifffile logs of its damaged tags meanwhile becomes one warning, once for each file.
    """
    state = file_state(path)
    _check_once(*state)
    logged: list[str] = []
    token = _LOGGED.set(logged)
    try:
        with tifffile.TiffFile(path) as tif:
            yield tif
    finally:
        _LOGGED.reset(token)
    # Not where the file was refused: that is told already.
    if logged:
        _warn_once(*state)


# Every page and every review reads the file again.
@lru_cache(maxsize=64)
def _warn_once(path: str, *_state: int) -> None:
    said = "a tag of this TIFF file is damaged; its pixels are read, its pixel size may be unknown"
    _logger.warning("%s: %s", path, said)


def _is_for_others(record: logging.LogRecord) -> bool:
    """Let through what tifffile logs while it reads for somebody else, as for napari's reader."""
    logged = _LOGGED.get()
    if logged is not None:
        logged.append(record.getMessage())
    return logged is None


logging.getLogger("tifffile").addFilter(_is_for_others)


def file_state(path: Path) -> tuple[str, int, int, int]:
    """Return what changes when a file does: its path, number on the disk, time and size."""
    # Twice for every page: pathlib would take a tenth of what reading a small file does. The
    # number tells files of one relative path apart.
    stat = os.stat(path)
    return os.fspath(path), stat.st_ino, stat.st_mtime_ns, stat.st_size


# A stack of thousands of pages is opened for every one of them.
@lru_cache(maxsize=64)
def _check_once(path: str, *_state: int) -> None:
    check_directories(Path(path))


def forget_files() -> None:
    """Forget which files were found in order."""
    _check_once.cache_clear()
    _warn_once.cache_clear()


def check_directories(path: Path) -> None:
    """Refuse a TIFF file whose directories claim more than it can hold.

    At most 4096 tags in a directory and 2**22 values in a tag; all directories together are
    no larger than the file; all values no larger than four times the file and 64 KiB a directory,
    because pages may share values.

    Raises
    ------
    InputError
        Where they claim more.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = struct.unpack(f"{order}H", start[2:4]) == (_BIG,)
        (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", start, 8 if big else 4)
        directories = values = pages = 0
        # A chain that leads back to itself ends with the first limit.
        while 0 < offset < size:
            bytes_there, claimed, offset = _directory(file, offset, size, order, big)
            directories, values, pages = directories + bytes_there, values + claimed, pages + 1
            if directories > size or values > _FILE_SIZES * size + _SHARED * pages:
                raise _damaged(path)


def _directory(
    file: BinaryIO, offset: int, size: int, order: str, big: bool
) -> tuple[int, int, int]:
    """Return the bytes of a directory, those its tags claim, and where the next one is.

    Raises
    ------
    ValueError
        Where it has more tags, or a tag more values, than any program writes.
    """
    number, tag, pointer = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    file.seek(offset)
    head = file.read(struct.calcsize(f"{order}{number}"))
    # What is cut off here is tifffile's to tell.
    if len(head) < struct.calcsize(f"{order}{number}"):
        return size, 0, 0
    (tags,) = struct.unpack(f"{order}{number}", head)
    if tags > _MOST_TAGS:
        raise ValueError(f"{tags} tags in one directory")
    tag_size = struct.calcsize(f"{order}{tag}")
    body = file.read(tags * tag_size)
    claimed = 0
    for _, kind, count, _ in struct.iter_unpack(
        f"{order}{tag}", body[: len(body) // tag_size * tag_size]
    ):
        each = _BYTES_OF_TYPE[kind] if kind < len(_BYTES_OF_TYPE) else 0
        # tifffile leaves out what does not lie in the file, and bytes are no list of values.
        if each * count <= size:
            if each > 1 and count > _MOST_VALUES:
                raise ValueError(f"{count} values in one tag")
            claimed += each * count
    following = file.read(struct.calcsize(f"{order}{pointer}"))
    after = struct.unpack(f"{order}{pointer}", following)[0] if len(following) > 3 + 4 * big else 0
    return len(head) + len(body), claimed, after


def check_page(page: tifffile.TiffPage) -> None:
    """Refuse a page that claims more pixels than its file can hold.

    That is 16 times the file without compression (one bit a pixel, and some), else 10,000 times
    the file, and 256 MiB in any case.

    Raises
    ------
    ValueError
        Where it claims more, or has fewer pieces than its size needs.
    """
    size = page.parent.filehandle.size
    plain = page.compression == 1
    most = _UNPACKED * size if plain else max(_ALWAYS, _DECOMPRESSED * size)
    if max(page.databytecounts, default=0) > max(_ALWAYS, size):
        raise ValueError("a piece of the picture is longer than its file")
    # A tile may be larger than its picture; what lies in one piece is read as such.
    apart = not page.is_contiguous and page.chunks
    piece = math.prod(page.chunks) * np.dtype(page.dtype).itemsize if apart else 0
    if page.nbytes > most or piece > max(_ALWAYS, most):
        claimed = max(page.nbytes, piece) / 2**20
        raise ValueError(f"claims {claimed:.0f} MiB of pixels in {size} bytes")
    if not plain and len(page.dataoffsets) < math.prod(page.chunked):
        raise ValueError("pieces of the picture are missing")


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path}: is a damaged TIFF file: its directories claim more than it holds; copy it again "
        "from where it was made"
    )
