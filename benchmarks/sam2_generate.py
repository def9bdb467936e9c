"""Compare the generation of mask candidates with the ``sam2`` package's own generator.

Same weights (official tiny configuration, seeded random numbers), same image, same threads, one
run. Thresholds are set so that half of the masks pass. Each generator has a process of its own,
for its peak memory; they take turns of 64 points, so that a busy machine slows both alike, and
only the time of their own turns counts. Processor time leaves out most of what others take from a
busy machine: threads sleep while they wait. Prints a table in Markdown.

    python benchmarks/sam2_generate.py
    python benchmarks/sam2_generate.py --size 4096 --model bundled --no-reference
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
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
from napari_semxai.backends.bundled import build_bundled, fit_feature_sizes
from napari_semxai.backends.sam2 import Segmenter
from napari_semxai.types import FilterSettings, GenerateSettings, ModelInfo

CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
ENCODER_GFLOP, POINT_GFLOP = 292, 1.75
"""Of the tiny encoder (1024 x 1024), and of a point of a decoder that shares the image but
gives every point one of its own, with every mask upscaled: the paper limit of the design."""
TURN = 64
"""Points of one turn: the reference's batch."""


def clocks():
    """Return the time and this process's processor time, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def network(name):
    """Return the bundled network, or the official tiny configuration with random weights."""
    if name == "bundled":
        return build_bundled()
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


class Turns:
    """Work in turns; notes the clocks of each turn, the first one being the encoding."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.seconds = []
        self.before = peak_mebibytes()
        pipe.recv()
        self.start = clocks()

    def hand_over(self):
        """End a turn and wait for the next one."""
        self.seconds.append(clocks() - self.start)
        self.pipe.send(None)
        self.pipe.recv()
        self.start = clocks()

    def end(self, areas):
        """End the last turn and send what was measured and found."""
        self.seconds.append(clocks() - self.start)
        memory = peak_mebibytes() - self.before
        self.pipe.send((np.array(self.seconds), memory, np.sort(areas)))


def probe(pipe, image, name):
    """Send the median predicted IoU of a coarse grid, the GEMM rate, and seconds of a click."""
    segmenter = Segmenter.from_network(network(name), ModelInfo("", "", "cpu"))
    *_, last = segmenter.generate(image, GenerateSettings(8, 0.0))
    clicks = []
    for row in np.linspace(0.1, 0.9, 9) * len(image):
        start = time.perf_counter()
        segmenter.predict(image, np.array([[row, row]]), np.ones(1))
        clicks.append(time.perf_counter() - start)
    floor = float(np.median(last.pool.predicted_iou))
    pipe.recv()
    pipe.send((floor, gemm_rate(), float(np.median(clicks))))


def run_ours(pipe, image, name, side, floor):
    """Generate with this package."""
    segmenter = Segmenter.from_network(network(name), ModelInfo("", "", "cpu"))
    turns, done = Turns(pipe), 0
    segmenter.embed(image)
    turns.hand_over()
    for update in segmenter.generate(image, GenerateSettings(side, floor)):
        if update.done >= done + TURN and update.done < update.total:
            done += TURN
            turns.hand_over()
    kept = filter_candidates(update.pool, FilterSettings(floor, 0.0, 1.0, 1.0))
    turns.end(update.pool.areas[kept])


def run_reference(pipe, image, name, side, floor):
    """Generate with the sam2 package."""
    generator = SAM2AutomaticMaskGenerator(
        network(name),
        points_per_side=side,
        points_per_batch=TURN,
        pred_iou_thresh=floor,
        stability_score_thresh=0.0,
        box_nms_thresh=1.0,
        output_mode="uncompressed_rle",
    )
    fit_feature_sizes(generator.predictor)
    turns, process = Turns(pipe), generator._process_batch

    def one_turn(*args, **kwargs):
        turns.hand_over()
        return process(*args, **kwargs)

    generator._process_batch = one_turn
    masks = generator.generate(np.repeat(image[..., None], 3, axis=2))
    turns.end(np.array([mask["area"] for mask in masks]))


def in_turns(targets, *args):
    """Run each target in a fresh process, one turn after the other; return what they send."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for target in targets:
        here, there = context.Pipe()
        process = context.Process(target=target, args=(there, *args))
        process.start()
        there.close()
        pipes.append(here)
        processes.append(process)
    answers = {}
    while len(answers) < len(targets):
        for number, pipe in enumerate(pipes):
            if number not in answers:
                pipe.send(None)
                answer = pipe.recv()
                if answer is not None:
                    answers[number] = answer
    for process in processes:
        process.join()
    return [answers[number] for number in range(len(targets))]


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


def print_table(answers, count):
    """Print what each generator took, and how many times faster the first one is."""
    print("| | total (s) | encoding (s) | per point (ms) | processor time (s) ", end="")
    print("| peak memory (MiB) | candidates |\n|---|---|---|---|---|---|---|")
    names = ("this package", "sam2 reference")
    for name, (seconds, memory, areas) in zip(names, answers, strict=False):
        total, processor = seconds.sum(axis=0)
        point = seconds[1:, 0].sum() / count * 1e3
        print(
            f"| {name} | {total:.1f} | {seconds[0, 0]:.1f} | {point:.1f} | {processor:.1f} "
            f"| {memory:.0f} | {len(areas)} |"
        )
    if len(answers) < 2:
        return
    (ours, _, areas), (theirs, _, expected) = answers
    whole = theirs.sum(axis=0) / ours.sum(axis=0)
    decoder = theirs[1:].sum(axis=0) / ours[1:].sum(axis=0)
    print(f"\nWhole generation {whole[0]:.1f}×, decoder {decoder[0]:.1f}× faster; ", end="")
    print(f"by processor time {whole[1]:.1f}× and {decoder[1]:.1f}×.")
    if len(areas) == len(expected):
        print(f"Largest difference of sorted areas: {np.abs(areas - expected).max()} pixels.")


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=32, help="points per side")
    parser.add_argument("--size", type=int, default=480, help="edge of the image in pixels")
    parser.add_argument("--model", choices=("tiny", "bundled"), default="tiny")
    parser.add_argument("--no-reference", action="store_true", help="measure ours only")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.simplefilter("ignore")
    image = scene_of_class(1, 0, shape=(arguments.size, arguments.size)).image
    ((floor, rate, click),) = in_turns([probe], image, arguments.model)
    targets = [run_ours] if arguments.no_reference else [run_ours, run_reference]
    answers = in_turns(targets, image, arguments.model, arguments.points, floor)
    count = arguments.points**2
    print(
        f"{arguments.size}² image, {count} points, {arguments.model} network, "
        f"{torch.get_num_threads()} threads, predicted IoU above {floor:.4f}\n"
    )
    print_table(answers, count)
    if arguments.model == "tiny":
        limit = (ENCODER_GFLOP + POINT_GFLOP * count) / rate
        total, processor = answers[0][0].sum(axis=0) / limit
        print(
            f"\nPaper limit at {rate:.0f} GFLOP/s: {limit:.1f} s; ours takes {total:.2f}×, ",
            end="",
        )
        print(f"by processor time {processor / torch.get_num_threads():.2f}×.")
    live, envelope = live_rates()
    print(f"\nA click on an image that was encoded before: {click * 1e3:.0f} ms.")
    print(f"\nOver 3,072 candidates: threshold change {live:.1f} ms, envelope {envelope:.1f} ms.")


if __name__ == "__main__":
    main()
