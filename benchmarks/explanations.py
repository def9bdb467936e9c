"""Make all tables of the page about explanations anew, after the bundled classifier has changed.

    python -m benchmarks.explanations --page docs/explanations.md

needs a display and, for concepts of crops, the extra "craft".
"""

from __future__ import annotations

import argparse
import subprocess
import sys

# Processes of their own: one opens a window, the other imports torch.
PARTS = (
    *("explain_latency", "heat_map_places", "concept_fits", "concept_localisation"),
    "nearest_labels",
)


def main() -> None:
    """Run all benchmarks of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", required=True)
    options = parser.parse_args()
    for part in PARTS:
        command = [sys.executable, "-m", f"benchmarks.{part}", "--page", options.page]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
