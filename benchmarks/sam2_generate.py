"""Compare the generation of mask candidates with the ``sam2`` package's own generator.

Same weights (official tiny configuration, seeded random numbers), same image, same threads, one
run. Thresholds are set so that half of the masks pass. Prints a table in Markdown.

    python benchmarks/sam2_generate.py --points 32
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
import warnings

import numpy as np
import torch
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.build_sam import build_sam2

from napari_semxai.algorithms.candidates import filter_candidates
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.algorithms.winner_map import winner_envelope
from napari_semxai.backends.sam2 import Segmenter
from napari_semxai.types import FilterSettings, GenerateSettings, ModelInfo

CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
ENCODER_GFLOP, POINT_GFLOP = 292, 1.75
"""Of the tiny encoder (1024 x 1024) and of one point of our decoder, every mask upscaled."""


def network():
    """Return the official tiny configuration with seeded random weights."""
    torch.manual_seed(0)
    return build_sam2(CONFIG, device="cpu")


def peak_mebibytes():
    """Return the peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def gemm_rate():
    """Return the best rate of one product of the decoder's size, in GFLOP/s."""
    a, b = torch.randn(4096, 256), torch.randn(256, 256)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 4096 * 256 * 256 / min(times) / 1e9


def probe(pipe, image):
    """Send the median predicted IoU over a coarse grid, and the GEMM rate."""
    segmenter = Segmenter.from_network(network(), ModelInfo("random", "", "cpu"))
    *_, last = segmenter.generate(image, GenerateSettings(8, 0.0))
    pipe.send((float(np.median(last.pool.predicted_iou)), gemm_rate()))


def run_ours(pipe, image, side, floor):
    """Send what our generation took and found."""
    segmenter = Segmenter.from_network(network(), ModelInfo("random", "", "cpu"))
    before, start = peak_mebibytes(), time.perf_counter()
    encoded = first = None
    for update in segmenter.generate(image, GenerateSettings(side, floor)):
        now = time.perf_counter() - start
        encoded = now if encoded is None and update.done else encoded
        first = now if first is None and update.pool is not None else first
    total = time.perf_counter() - start
    kept = filter_candidates(update.pool, FilterSettings(floor, 0.0, 1.0, 1.0))
    found = {tuple(np.round(update.pool.points[i], 2)): None for i in kept}
    areas = update.pool.areas[kept]
    pipe.send((total, encoded, first, before, peak_mebibytes(), len(kept), areas, len(found)))


def run_reference(pipe, image, side, floor):
    """Send what the reference's generation took and found."""
    generator = SAM2AutomaticMaskGenerator(
        network(),
        points_per_side=side,
        pred_iou_thresh=floor,
        stability_score_thresh=0.0,
        box_nms_thresh=1.0,
        output_mode="uncompressed_rle",
    )
    before, start = peak_mebibytes(), time.perf_counter()
    rgb = np.repeat(image[..., None], 3, axis=2)
    generator.predictor.set_image(rgb)
    encoded = time.perf_counter() - start
    start = time.perf_counter()
    masks = generator.generate(rgb)
    total = time.perf_counter() - start
    areas = np.array([mask["area"] for mask in masks])
    points = {tuple(np.round(mask["point_coords"][0][::-1], 2)) for mask in masks}
    pipe.send((total, encoded, total, before, peak_mebibytes(), len(masks), areas, len(points)))


def in_own_process(target, *args):
    """Run `target` in a fresh process, so that peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *args))
    process.start()
    there.close()
    answer = here.recv()
    process.join()
    return answer


def live_rates():
    """Return milliseconds of a threshold change and of the envelope, over 3,072 candidates."""
    from tests.algorithms.test_candidates import random_pool

    pool = random_pool(3072, 0)
    distances = np.random.default_rng(0).uniform(0, 0.5, len(pool))
    rows = []
    for work in (
        lambda: filter_candidates(pool, FilterSettings(0.0, 0.0, 1.0, 0.7)),
        lambda: winner_envelope(pool.areas, distances, pool.shape),
    ):
        times = []
        for _ in range(9):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        rows.append(float(np.median(times)) * 1e3)
    return rows


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=32, help="points per side")
    parser.add_argument("--size", type=int, default=480, help="edge of the image in pixels")
    parser.add_argument("--no-reference", action="store_true", help="measure ours only")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    image = scene_of_class(1, 0, shape=(arguments.size, arguments.size)).image
    floor, rate = in_own_process(probe, image)
    rows = [("this package", in_own_process(run_ours, image, arguments.points, floor))]
    if not arguments.no_reference:
        reference = in_own_process(run_reference, image, arguments.points, floor)
        rows.append(("sam2 reference", reference))
    count = arguments.points**2
    print(
        f"{arguments.size}² image, {count} points, {torch.get_num_threads()} threads, "
        f"predicted IoU above {floor:.4f}\n"
    )
    print(
        "| | total (s) | to the end of encoding (s) | per point (ms) | first winner (s) "
        "| peak memory beyond the model (MiB) | candidates |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, (total, encoded, first, before, peak, found, _, _) in rows:
        point = (total - encoded) / count * 1e3
        print(
            f"| {name} | {total:.1f} | {encoded:.1f} | {point:.1f} | {first:.1f} "
            f"| {peak - before:.0f} | {found} |"
        )
    if len(rows) == 2:
        ours, theirs = rows[0][1], rows[1][1]
        decoder = (theirs[0] - theirs[1]) / (ours[0] - ours[1])
        print(f"\nWhole generation {theirs[0] / ours[0]:.1f}×, decoder {decoder:.1f}× faster.")
        if len(ours[6]) == len(theirs[6]):
            largest = np.abs(np.sort(ours[6]) - np.sort(theirs[6])).max()
            print(f"Largest difference of sorted areas: {largest} pixels.")
    limit = (ENCODER_GFLOP + POINT_GFLOP * count) / rate
    print(
        f"\nPaper limit at {rate:.0f} GFLOP/s: {limit:.1f} s; "
        f"ours takes {rows[0][1][0] / limit:.2f} times that."
    )
    live, envelope = live_rates()
    print(f"\nOver 3,072 candidates: threshold change {live:.1f} ms, envelope {envelope:.1f} ms.")


if __name__ == "__main__":
    main()
