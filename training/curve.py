"""Put the training curves of all branches into one CSV and one picture for the docs.

Branches that are in the CSV already and are not named stay as they are.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib as mpl
import numpy as np

from training.train import CACHE, COLUMNS


def read(path: Path) -> dict[str, list[dict[str, float]]]:
    """Read the curves of a file by branch; of one branch without a column for it, as its name."""
    curves: dict[str, list[dict[str, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            values = {name: float(row.get(name) or "nan") for name in COLUMNS}
            curves.setdefault(row.get("branch", path.stem), []).append(values)
    return curves


def main() -> None:
    """Write curve and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("branches", nargs="+", help="names of the branches, first to last")
    parser.add_argument("--folder", type=Path, default=CACHE)
    parser.add_argument("--output", type=Path, default=Path("docs/images/bundled_training.csv"))
    options = parser.parse_args()
    curves = read(options.output) if options.output.exists() else {}
    for name in options.branches:
        # The last one of each name is the newest.
        curves.pop(name, None)
        curves |= read(options.folder / f"{name}.csv")
    with options.output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("branch", *COLUMNS))
        for name, rows in curves.items():
            writer.writerows((name, *(f"{row[column]:g}" for column in COLUMNS)) for row in rows)
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name, rows in curves.items():
        steps = [row["step"] for row in rows]
        for panel, column in zip(panels, ("loss", "one_click"), strict=True):
            values = np.array([row[column] for row in rows])
            smooth = [values[max(0, i - 4) : i + 1].mean() for i in range(len(values))]
            panel.plot(steps, smooth, label=name)
    panels[0].set(xlabel="step", ylabel="training loss")
    panels[1].set(xlabel="step", ylabel="1 click, best of 3, IoU (all regions)")
    # Beside the panels: the curves fill them.
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(options.output.with_suffix(".png"), dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
