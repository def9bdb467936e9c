"""Weights of the official SAM 2.1 networks on disk: which exist, where they lie, their digests.

Nothing here imports torch, and nothing is downloaded unless `store.downloads` is told to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.disk.folders import model_folders, models_folder
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLED = "bundled"
BUNDLED_WEIGHTS = Path(__file__).parents[2] / "weights" / "bundled_sam2.safetensors"
DEFECT_WEIGHTS = BUNDLED_WEIGHTS.with_name("bundled_defects.safetensors")
COMPARED_WEIGHTS = BUNDLED_WEIGHTS.with_name("bundled_differences.safetensors")
BUNDLED_CLASSIFIER = BUNDLED_WEIGHTS.with_name("bundled_classifier.safetensors")

_ADDRESS = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class OfficialModel:
    """One published checkpoint.

    Attributes
    ----------
    name : str
        As the ``model`` arguments take it; the file is ``<name>.pt``.
    config : str
        The sam2 package's configuration.
    size : int
        Bytes of the file.
    sha256 : str or None
        Digest of the file; None where it is not known, so that it can only be shown.
    address : str
        Where it can be downloaded.
    """

    name: str
    config: str
    size: int
    sha256: str | None
    address: str

    @property
    def file_name(self) -> str:
        """Name of the file in a folder of models."""
        return f"{self.name}.pt"


def _official(size_name: str, config: str, size: int, sha256: str) -> OfficialModel:
    name = f"sam2.1_hiera_{size_name}"
    return OfficialModel(name, f"configs/sam2.1/{config}", size, sha256, f"{_ADDRESS}{name}.pt")


OFFICIAL_MODELS: tuple[OfficialModel, ...] = (
    _official(
        "tiny",
        "sam2.1_hiera_t.yaml",
        156_008_466,
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    _official(
        "small",
        "sam2.1_hiera_s.yaml",
        184_416_285,
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    _official(
        "base_plus",
        "sam2.1_hiera_b+.yaml",
        323_606_802,
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
    _official(
        "large",
        "sam2.1_hiera_l.yaml",
        898_083_611,
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    ),
)
"""Sizes and digests are those of the files at the published addresses."""


def model_names() -> list[str]:
    """Return the names that need no path: the bundled network, then the official ones."""
    return [BUNDLED, *(model.name for model in OFFICIAL_MODELS)]


def official_model(name: str) -> OfficialModel:
    """Return the entry of an official name; `InputError` lists the names there are."""
    for model in OFFICIAL_MODELS:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in OFFICIAL_MODELS)
    raise InputError(f"{name}: not an official model; there are {known}")


def installed_path(model: OfficialModel) -> Path | None:
    """Return where an official checkpoint lies, or None.

    SEMXAI_MODEL_DIR is searched before the user's own folder.
    """
    candidates = (folder / model.file_name for folder in model_folders())
    return next((path for path in candidates if path.is_file()), None)


def find_model(model: str) -> Path:
    """Return the weights file of a name or path.

    Parameters
    ----------
    model : str
        "bundled", an official name, or the path of a checkpoint.

    Raises
    ------
    InputError
        When there is no such file, or an official file has the wrong size.
    """
    if model == BUNDLED:
        return BUNDLED_WEIGHTS
    if model in model_names():
        official = official_model(model)
        path = installed_path(official)
        if path is None:
            raise InputError(_not_installed(official))
        check_size(path, official)
        return path
    path = Path(model).expanduser()
    if not path.is_file():
        raise InputError(f"{model}: no such file, and not one of {', '.join(model_names())}")
    return path


def check_size(path: Path, model: OfficialModel) -> None:
    """Raise `InputError` when a file is not as long as the official one."""
    size = path.stat().st_size
    if size == model.size:
        return
    fault = "cut off" if size < model.size else "not the official file"
    raise InputError(
        f"{path}: {size:,} bytes instead of {model.size:,}, so it is {fault}; "
        f"get it again with: semxai models download {model.name}"
    )


@dataclass(frozen=True, slots=True)
class Verification:
    """What a weights file turned out to be.

    Attributes
    ----------
    path : Path
        The file.
    sha256 : str
        Its computed digest.
    expected : str or None
        The official digest, where there is one.
    """

    path: Path
    sha256: str
    expected: str | None

    @property
    def status(self) -> str:
        """Either "verified", "different", or "unknown" where no digest is known."""
        if self.expected is None:
            return "unknown"
        return "verified" if self.sha256 == self.expected else "different"


def verify_model(model: str) -> Verification:
    """Compute the digest of a model's file and compare it with the official one.

    Parameters
    ----------
    model : str
        As for `find_model`; a path is compared when its file name is an official one.

    Raises
    ------
    InputError
        When there is no such file, or an official file has the wrong size.
    """
    path = find_model(model)
    official = next((entry for entry in OFFICIAL_MODELS if entry.file_name == path.name), None)
    if official is not None:
        check_size(path, official)
    return Verification(path, file_sha256(path), official.sha256 if official else None)


def import_model(
    source: str | Path,
    folder: Path | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Copy an official checkpoint into the folder of models, under its proper name.

    The file may have any name: it is recognised by its size and digest.

    Parameters
    ----------
    source : str or Path
        For example a file from a USB stick.
    folder : Path, optional
        By default `models_folder()`.
    progress : callable, optional
        Called with the bytes copied so far and all of them.

    Returns
    -------
    Path
        The copy.

    Raises
    ------
    InputError
        When the file is not one of the official ones.
    """
    source = Path(source)
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    size = source.stat().st_size
    # No two have one size, and telling by size spares reading a wrong file to its end.
    official = next((entry for entry in OFFICIAL_MODELS if entry.size == size), None)
    if official is None:
        raise InputError(_not_official(source, size))
    target = (folder or models_folder()) / official.file_name
    digest = hashlib.sha256()
    # Digest and copy in one pass; where they disagree the block raises and no file appears.
    with source.open("rb") as origin, atomic_write(target) as copy:
        while block := origin.read(_BLOCK):
            copy.write(block)
            digest.update(block)
            if progress is not None:
                progress(copy.tell(), size)
        if official.sha256 not in (None, digest.hexdigest()):
            raise InputError(
                f"{source}: as long as {official.name} but with other contents "
                f"(sha256 {digest.hexdigest()}); copy it again"
            )
    return target


def _not_installed(model: OfficialModel) -> str:
    folders = " or ".join(str(folder) for folder in model_folders())
    return (
        f"{model.name}: no {model.file_name} in {folders}; get it with: semxai models download "
        f"{model.name} ({model.size / 1e6:.0f} MB from {model.address}), or bring a copy in "
        "with: semxai models import FILE"
    )


def _not_official(source: Path, size: int) -> str:
    sizes = ", ".join(f"{model.name} {model.size:,}" for model in OFFICIAL_MODELS)
    return (
        f"{source}: {size:,} bytes is no official SAM 2.1 checkpoint ({sizes}); "
        "a checkpoint of your own needs no import, give its path as the model"
    )
