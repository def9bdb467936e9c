"""Entry of the ``semxai`` command: arguments in, exit code out."""

from __future__ import annotations

import argparse
import codecs
import io
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from napari_semxai import __version__
from napari_semxai.cli.commands import window
from napari_semxai.cli.common.output import BAD_INPUT, INTERRUPTED, Output
from napari_semxai.store.disk.names import IMAGE_SUFFIXES
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = (
    "Defect masks in SEM images with SAM 2. Without a command napari opens with the docks, and "
    "with the images, folder or project that are given. Exit codes: 0 done, 2 bad input, 3 some "
    "of many inputs failed."
)

_USAGE = "%(prog)s [-h] [--version] [IMAGE ... | FOLDER | PROJECT | COMMAND ...]"
_COMMANDS = (
    "window",
    "demo",
    "evaluate",
    "explain",
    "learn",
    "mask",
    "models",
    "project",
    "report",
    "survey",
    "sweep",
    "train-classifier",
)
"""Each is a module of `cli.commands` with an ``add_parser``, in the order of the help."""

_IN_WORDS = "semxai.in_words"
_WORDS = {
    **{"α": "alpha", "β": "beta", "δ": "delta", "κ": "kappa", "τ": "tau", "µ": "u"},
    **{"≤": "<=", "≥": ">=", "→": "->", "−": "-", "–": "-", "±": "+/-", "×": "x", "²": "2"},
    **{"…": "...", "⚠": "!", "“": '"', "”": '"'},
}
"""ASCII for what an encoding of text files may lack; anything else is "?"."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of this process.

    Returns
    -------
    int
        0 done; 2 bad input, with one line on stderr; 3 some of many inputs failed; 130 stopped
        by the keyboard.
    """
    _print_anything()
    try:
        options = parse_arguments(sys.argv[1:] if argv is None else argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else BAD_INPUT
    # Threads that spin while they wait make a busy machine three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    output = Output(as_json=options.json)
    try:
        return int(options.run(options, output))
    except InputError as error:
        output.error(str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        output.error("stopped")
        return INTERRUPTED


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse what stands behind the program's name; files without a command are for the window.

    Raises
    ------
    SystemExit
        After help, the version or one line that says what is wrong.
    """
    # No option is the name of an image that is there.
    arguments = [
        f"./{one}" if one.startswith("-") and _is_picture(one) and os.path.exists(one) else one
        for one in arguments
    ]
    first = arguments[0] if arguments else ""
    shown = (
        bool(first) and first not in _COMMANDS and (os.path.exists(first) or _is_picture(first))
    )
    return make_parser().parse_args([*(["window"] if shown else []), *arguments])


def _is_picture(name: str) -> bool:
    return Path(name).suffix.casefold() in IMAGE_SUFFIXES


def make_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--json", action="store_true", help="print one JSON object instead of text"
    )
    parser = _Parser(prog="semxai", usage=_USAGE, description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.set_defaults(run=window.run, files=[], sample=False, json=False)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", prog=parser.prog, parser_class=_Parser
    )
    for name in _COMMANDS:
        module = import_module(f"napari_semxai.cli.commands.{name.replace('-', '_')}")
        module.add_parser(commands, common)
    return parser


def _print_anything() -> None:
    """Print what the console's encoding lacks in other words: no run ends because of it."""
    codecs.register_error(_IN_WORDS, _in_words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_IN_WORDS)


def _in_words(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_WORDS.get(character, "?") for character in lacking), error.end
