"""Run the documented evaluation of synthetic scenes and put its table into the docs.

``python -m scripts.evaluation_table --output report`` runs the command of docs/evaluation.md; it
goes on where it was stopped. After the networks were replaced the same command makes everything
that they decide again. ``--scenes N`` takes another number of scenes than the page says, and
changes the page.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from pathlib import Path

from napari_semxai.cli import main as semxai
from napari_semxai.cli.batch.batch import clock
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from scripts.pages import put_figures

PAGE = Path("docs/evaluation.md")
MARK = "semxai evaluate synthetic"
METHODS = ("craft", "gradcam")
NETWORKS = (BUNDLED_WEIGHTS, BUNDLED_WEIGHTS.with_name("bundled_classifier.safetensors"))


def main() -> None:
    """Run the command of the page, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scenes", type=int, help="instead of the page's")
    options = parser.parse_args()
    text = PAGE.read_text("utf-8")
    (line,) = (own for own in text.splitlines() if own.startswith(MARK))
    if options.scenes:
        text = text.replace(line, re.sub(r"synthetic:\d+", f"synthetic:{options.scenes}", line))
        PAGE.write_text(text, "utf-8")
        (line,) = (own for own in text.splitlines() if own.startswith(MARK))
    command = line.split()[1:]
    command[command.index("-o") + 1] = str(options.output)
    start = time.perf_counter()
    if code := semxai(command):
        raise SystemExit(f"{line} ended with {code}")
    seconds = time.perf_counter() - start
    put_figures(PAGE, text_of(options.output, seconds))


def text_of(folder: Path, seconds: float) -> str:
    """Return the tables and what they rest on, as Markdown."""
    values = json.loads((folder / "evaluation.json").read_text("utf-8"))
    tau = ", ".join(f"{name} {value:.2f}" for name, value in values["tau"].items())
    tables = values["methods"]
    lines = [
        (folder / "table.md").read_text("utf-8"),
        f"{tables[0]['n']} scenes; {len(values['tuned_on'])} others to tune on: {tau}; for paper "
        "α = {:g}, β = {:g}.".format(*values["alpha_beta"]["paper"]),
    ]
    with (folder / "comparisons.csv").open(newline="") as file:
        pairs = {(row["first"], row["second"], row["metric"]): row for row in csv.DictReader(file)}
    pair = pairs[(*METHODS, "dice")]
    lines.append(
        f"Dice of {METHODS[0]} against {METHODS[1]}: median difference "
        f"{float(pair['median_difference']):+.3f}, Wilcoxon p = {float(pair['p_value']):.2g}, "
        f"rank-biserial {float(pair['rank_biserial']):+.2f}, n = {pair['n']}."
    )
    digests = (f"`{path.name}` {file_sha256(path)[:12]}" for path in NETWORKS)
    lines.append(f"Networks (SHA-256): {', '.join(digests)}.")
    lines.append(f"Took {clock(seconds)}; what was there from an earlier run is not made again.")
    return "\n\n".join(lines)


if __name__ == "__main__":
    main()
