"""Names of files as people and programs write them: spelled, ordered and found in one way."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
_DRIVE = re.compile(r"[a-zA-Z]:")


def name_key(name: str) -> str:
    """Return what all spellings of a name have in common: composed or not, in any case."""
    if name.isascii():
        # The most, and a large project has many.
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def natural_key(name: str) -> list[tuple[str, int]]:
    """Return a key that sorts "2" before "10"."""
    parts = re.findall(r"(\D*)(\d*)", name_key(name))
    return [(word, int(number[:1000] or 0)) for word, number in parts]


def printable(name: str | Path) -> str:
    """Return a name for display; bytes that are no text are shown as numbers."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def check_name(path: Path) -> None:
    """Raise `InputError` for a path that no table, record or other system could hold."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{printable(path)}: the name is not UTF-8; rename it") from None


def portable_path(folder: Path, path: Path) -> str:
    """Return a path from a folder where both share one, so that both can move together."""
    root, target = os.path.abspath(folder), os.path.abspath(path)
    try:
        common = os.path.commonpath([root, target])
    except ValueError:
        # Two drives of Windows.
        return Path(target).as_posix()
    if common == os.path.dirname(common):
        return Path(target).as_posix()
    return Path(os.path.relpath(target, root)).as_posix()


def absolute_path(folder: Path, path: str) -> Path:
    """Return the path that `portable_path` made portable."""
    return Path(os.path.normpath(os.path.join(os.path.abspath(folder), path)))


def path_parts(name: str) -> tuple[str, ...]:
    r"""Return folders and file of a path of any system, without drive and root.

    Examples
    --------
    >>> path_parts("C:\\fab\\lot\\A.png"), path_parts("../lot/a")
    (('fab', 'lot', 'A.png'), ('lot', 'a'))
    """
    name = unicodedata.normalize("NFC", _DRIVE.sub("", name.strip(), count=1))
    return tuple(part for part in re.split(r"[/\\]", name) if part not in ("", ".", ".."))


def _stem(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return stem if ending.casefold() in IMAGE_SUFFIXES else name


class NameFinder(Generic[T]):
    """Finds what a name means, however exactly it is given.

    Folders count from the file upwards, as far as they are given: an absolute path of another
    machine still tells two files of one name apart. Endings need not be given, or be right, and
    case matters only between names that differ in nothing else.

    Parameters
    ----------
    named : iterable of (str, T)
        Things and their paths.
    """

    def __init__(self, named: Iterable[tuple[str, T]]) -> None:
        self._named: defaultdict[str, list[tuple[tuple[str, ...], T]]] = defaultdict(list)
        for name, thing in named:
            if parts := path_parts(name):
                self._named[name_key(_stem(parts[-1]))].append((parts, thing))

    def find(self, name: str) -> T | None:
        """Return the thing that a name fits best; None where it fits none.

        Raises
        ------
        InputError
            When it fits several things equally.
        """
        given = path_parts(name)
        fitting = self._named.get(name_key(_stem(given[-1])), ()) if given else ()
        best: list[T] = []
        highest: tuple[int, ...] = ()
        for parts, thing in fitting:
            rank = _rank(given, parts)
            if rank > highest:
                highest, best = rank, [thing]
            elif rank == highest and thing not in best:
                best.append(thing)
        if len(best) > 1:
            raise InputError(f"{name}: {len(best)} files fit this name; give their folders, too")
        return best[0] if best else None


def _rank(given: tuple[str, ...], parts: tuple[str, ...]) -> tuple[int, ...]:
    """Return how well a name fits: folders that agree, whether these are all, ending, case."""
    # From the file upwards: the folders next to it say most, those of a machine nothing.
    agreeing = 0
    for one, other in zip(reversed(given[:-1]), reversed(parts[:-1]), strict=False):
        if name_key(one) != name_key(other):
            break
        agreeing += 1
    whole = agreeing == len(given) - 1 == len(parts) - 1
    first, second = name_key(given[-1]), name_key(parts[-1])
    # An ending that is left out fits better than one that differs.
    ending = 2 if first == second else int(first == _stem(first) or second == _stem(second))
    case = sum(one == other for one, other in zip(reversed(given), reversed(parts), strict=False))
    return agreeing, whole, ending, case


class FileFinder:
    """Finds the image files that a table or a KLARF file names.

    Parameters
    ----------
    roots : Path
        Where paths start; names without one are looked for below the first.
    """

    def __init__(self, *roots: Path) -> None:
        self._roots = roots
        self._listed: dict[Path, NameFinder[Path]] = {}
        self._below: NameFinder[Path] | None = None

    def find(self, *names: str) -> Path:
        """Return the file of the first of some names that leads to one.

        Raises
        ------
        InputError
            When none does, or several files fit.
        """
        given = [name for name in names if path_parts(name)]
        for root in self._roots:
            for name in given:
                # A backslash of Windows is a separator, unless the file is called so.
                for place in dict.fromkeys((name, name.replace("\\", "/"))):
                    if (found := self._in_folder(root / place)) is not None:
                        return found
        for name in given:
            if (found := self._anywhere().find(name)) is not None:
                return found
        raise InputError(
            f"{names[0] or names[-1]}: no such file from {self._roots[0]}, and none of that name"
        )

    def _in_folder(self, path: Path) -> Path | None:
        folder = path.parent
        if folder not in self._listed:
            # What is too long for a path, or holds a NUL, is no folder either.
            names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
            self._listed[folder] = NameFinder(
                (name, folder / name) for name in names if _is_image(name)
            )
        return self._listed[folder].find(path.name)

    def _anywhere(self) -> NameFinder[Path]:
        if self._below is None:
            root = self._roots[0]
            self._below = NameFinder(
                (one.relative_to(root).as_posix(), one)
                for one in sorted(root.rglob("*"))
                if _is_image(one.name)
            )
        return self._below


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].casefold() in IMAGE_SUFFIXES
