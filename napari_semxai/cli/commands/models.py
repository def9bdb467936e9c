"""``semxai models``: which networks are here, and how the official ones get here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.common.output import BAD_INPUT, DONE, INTERRUPTED
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.disk.folders import models_folder
from napari_semxai.store.weights.downloads import digest_note, download_model
from napari_semxai.store.weights.models import (
    BUNDLED,
    BUNDLED_WEIGHTS,
    OFFICIAL_MODELS,
    OfficialModel,
    check_size,
    import_model,
    installed_path,
    official_model,
    verify_model,
)
from napari_semxai.types import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from napari_semxai.cli.common.output import Output

_STATUS = {
    "verified": "the official file",
    "different": "NOT the official file",
    "unknown": "no official digest to compare with",
}


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command and its own commands."""
    models = commands.add_parser("models", help="list, download, import and verify networks")
    actions = models.add_subparsers(title="commands", metavar="COMMAND", required=True)
    names = ", ".join(model.name for model in OFFICIAL_MODELS)

    listing = actions.add_parser("list", parents=[common], help="list networks and their files")
    listing.set_defaults(run=run_list)

    download = actions.add_parser(
        "download",
        parents=[common],
        help="download official checkpoints",
        description="Download official SAM 2.1 checkpoints. The size and the digest are checked "
        "before a file gets its name. Behind a proxy set HTTPS_PROXY.",
    )
    download.add_argument("models", nargs="+", metavar="MODEL", help=names)
    download.set_defaults(run=run_download)

    bring = actions.add_parser(
        "import",
        parents=[common],
        help="import official checkpoints from files, for machines without internet",
    )
    bring.add_argument("files", nargs="+", metavar="FILE", type=Path)
    bring.set_defaults(run=run_import)

    verify = actions.add_parser(
        "verify", parents=[common], help="verify files against the official digests"
    )
    verify.add_argument(
        "models", nargs="*", metavar="MODEL|FILE", help="default: all official files found"
    )
    verify.set_defaults(run=run_verify)


def run_list(options: argparse.Namespace, output: Output) -> int:
    """List the bundled and the official networks with where they lie."""
    rows = [_bundled_row(), *map(_official_row, OFFICIAL_MODELS)]
    for row in rows:
        output.say(
            f"{row['name']:24}{row['state']:12}{row['bytes'] / 1e6:7.1f} MB  "
            f"{row['path'] or row['address']}"
        )
    output.say(f"Downloads and imports go to {models_folder()}")
    output.result({"folder": models_folder(), "models": rows})
    return DONE


def run_download(options: argparse.Namespace, output: Output) -> int:
    """Download checkpoints that a person named."""
    wanted = [official_model(name) for name in options.models]
    paths: dict[str, Any] = {}
    for model in wanted:
        output.say(f"{model.name}: {model.size / 1e6:.0f} MB from {model.address}")
        try:
            path = download_model(model, progress=_progress(output, model.name))
        except KeyboardInterrupt:
            output.error(f"{model.name}: stopped; the partial file is deleted")
            return INTERRUPTED
        # Also of a file that was there before: the digest is of what lies on the disk now.
        paths[model.name] = {"path": path, "sha256": file_sha256(path)}
        output.say(f"{path}: {digest_note(model, paths[model.name]['sha256'])}")
    output.result({"downloaded": paths})
    return DONE


def run_import(options: argparse.Namespace, output: Output) -> int:
    """Copy official checkpoints into the folder of models."""
    paths = []
    for source in options.files:
        paths.append(import_model(source, progress=_progress(output, source.name)))
        output.say(f"{source}: imported as {paths[-1]}, {_STATUS['verified']}")
    output.result({"imported": paths})
    return DONE


def run_verify(options: argparse.Namespace, output: Output) -> int:
    """Compute digests; exit code 2 when a file is not what its name says."""
    # Without a name, what is not here is no error.
    here = [model.name for model in OFFICIAL_MODELS if installed_path(model)]
    rows = [verify_model(name) for name in options.models or [BUNDLED, *here]]
    for row in rows:
        output.say(f"{row.path}: {_STATUS[row.status]} (sha256 {row.sha256})")
    output.result(
        {
            "files": [
                {
                    "path": row.path,
                    "status": row.status,
                    "sha256": row.sha256,
                    "expected": row.expected,
                }
                for row in rows
            ]
        }
    )
    wrong = [str(row.path) for row in rows if row.status == "different"]
    if wrong:
        output.error(f"{', '.join(wrong)}: not the official file; get it again")
    return BAD_INPUT if wrong else DONE


def _bundled_row() -> dict[str, Any]:
    found = BUNDLED_WEIGHTS.is_file()
    return {
        "name": BUNDLED,
        "state": "bundled" if found else "missing",
        "bytes": BUNDLED_WEIGHTS.stat().st_size if found else 0,
        "path": BUNDLED_WEIGHTS,
        "address": None,
        "sha256": file_sha256(BUNDLED_WEIGHTS) if found else None,
    }


def _official_row(model: OfficialModel) -> dict[str, Any]:
    path = installed_path(model)
    state = "missing"
    if path is not None:
        try:
            check_size(path, model)
            state = "here"
        except InputError:
            state = "wrong size"
    return {
        "name": model.name,
        "state": state,
        "bytes": model.size,
        "path": path,
        "address": model.address,
        "sha256": model.sha256,
    }


def _progress(output: Output, name: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        output.progress(f"{name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB ({done / total:.0%})")

    return show
