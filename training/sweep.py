"""Choose α, β, border and connectivity of Algorithm 1 on the validation scenes.

Writes the mean Dice over the plane as CSV, and its curve as a picture.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import torch

from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.ground_truth import defect_in, rank
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.types import LeftOut
from training.evaluate import candidates, largest_defect, load_segmenter
from training.scenes import validation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.types import CandidatePool

ALPHAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
BETAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
Setting = tuple[float, float, str, int]


def dices(scene: Scene, pool: CandidatePool) -> Iterator[tuple[Setting, float]]:
    """Yield the Dice of Algorithm 1 on one scene for every setting."""
    truth, strips = largest_defect(scene), edge_strips(scene.image)
    known: dict[tuple[int | None, str, int], float] = {}
    for alpha in ALPHAS:
        for beta in BETAS:
            ranked = rank(pool.areas, pool.centroids, pool.shape, alpha=alpha, beta=beta)
            for border, ignored in (("auto", strips), ("0", (0, 0, 0, 0))):
                for connectivity in (4, 8):
                    key = (ranked.winner, border, connectivity)
                    if key not in known:
                        mask = np.zeros(pool.shape, bool)
                        if ranked.winner is not None:
                            surface = pool.mask(ranked.winner)
                            mask = defect_in(
                                surface, connectivity=connectivity, left_out=LeftOut(ignored)
                            ).mask
                        known[key] = scores(mask, truth).dice
                    yield (alpha, beta, border, connectivity), known[key]


def draw(means: dict[Setting, float], path: Path) -> None:
    """Draw the mean Dice over β, a line for each α, with the best border and connectivity."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for alpha in ALPHAS:
        axes.plot(BETAS, [means[alpha, beta, "auto", 8] for beta in BETAS], label=f"α = {alpha:g}")
    line = [means[2.0, beta, "0", 8] for beta in BETAS]
    axes.plot(BETAS, line, "k:", label="α = 2, border not ignored")
    axes.set(xlabel="β", ylabel="mean Dice, validation scenes", ylim=(0, 1))
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Run the sweep and print the best settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="other weights of the bundled network")
    parser.add_argument("--limit", type=int, help="scenes of each kind at most")
    parser.add_argument("--output", type=Path, default=Path("docs/images/bundled_sweep.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = load_segmenter("bundled", options.weights)
    values: dict[Setting, list[float]] = defaultdict(list)
    for kind, scene in validation(options.limit):
        if kind != "no defect":
            for setting, dice in dices(scene, candidates(segmenter, scene.image)):
                values[setting].append(dice)
    means = {setting: float(np.mean(found)) for setting, found in values.items()}
    with options.output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("alpha", "beta", "border", "connectivity", "mean_dice", "scenes"))
        writer.writerows((*s, round(mean, 4), len(values[s])) for s, mean in means.items())
    draw(means, options.output.with_suffix(".png"))
    for setting, mean in sorted(means.items(), key=lambda item: -item[1])[:12]:
        print(*setting, f"{mean:.4f}")


if __name__ == "__main__":
    main()
