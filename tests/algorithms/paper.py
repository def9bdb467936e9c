"""Algorithm 1 as its pseudo-code reads: loops over pixels, nothing shared with the package."""

from collections import deque

import numpy as np


def literal_ground_truth(masks, alpha, beta, connectivity, border):
    n, m, k_cols = masks.shape
    centre = ((m - 1) / 2, (k_cols - 1) / 2)
    best, winner = -1.0, None
    for i in range(n):
        pixels = [(r, c) for r in range(m) for c in range(k_cols) if masks[i, r, c]]
        area = len(pixels)
        if not area > beta * m * k_cols:
            continue
        row = sum(r for r, _ in pixels) / area
        col = sum(c for _, c in pixels) / area
        distance = ((row - centre[0]) ** 2 + (col - centre[1]) ** 2) ** 0.5
        distance /= (m**2 + k_cols**2) ** 0.5
        score = area * (1 - distance) ** alpha
        if score > best * (1 + 1e-12):
            best, winner = score, i
    result = np.zeros((m, k_cols), bool)
    if winner is None:
        return result, None
    top, right, bottom, left = border
    complement = {
        (r, c)
        for r in range(top, m - bottom)
        for c in range(left, k_cols - right)
        if not masks[winner, r, c]
    }
    for pixel in largest_by_search(complement, connectivity):
        result[pixel] = True
    return result, winner


def largest_by_search(pixels, connectivity):
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    if connectivity == 8:
        steps += [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    unseen, largest = set(pixels), []
    for seed in sorted(pixels):
        if seed not in unseen:
            continue
        unseen.discard(seed)
        component, queue = [seed], deque([seed])
        while queue:
            row, column = queue.popleft()
            for step in steps:
                neighbour = (row + step[0], column + step[1])
                if neighbour in unseen:
                    unseen.discard(neighbour)
                    component.append(neighbour)
                    queue.append(neighbour)
        if len(component) > len(largest):
            largest = component
    return largest
