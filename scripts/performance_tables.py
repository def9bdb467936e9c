"""Run the benchmarks, and put what they print into the documentation.

Run from the project's root, with a display: ``python scripts/performance_tables.py [NAME…]``.
Replaces what stands between ``<!-- NAME -->`` and ``<!-- end -->`` in ``docs/measurements.md``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path("docs/measurements.md")
COMMANDS = {
    "startup": ("-m", "benchmarks.startup"),
    "live_edit": ("-m", "benchmarks.live_edit"),
    "sam2_generate": ("benchmarks/sam2_generate.py",),
    "sam2_large": ("benchmarks/sam2_generate.py", "--size", "4096", "--no-reference"),
    "reference": ("-m", "benchmarks.reference", "--scenes", "3"),
    "project_index": ("benchmarks/project_index.py",),
    "review_queue": ("-m", "benchmarks.review_queue", "--images", "5000"),
    "memory": ("-m", "benchmarks.memory"),
    "memory_explain": ("-m", "benchmarks.memory", "--explain", "--points", "8"),
    "sam_clicks": ("-m", "benchmarks.sam_clicks", "--sizes", "480"),
}


def main() -> None:
    """Run the benchmarks that are named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(COMMANDS))
    for name in parser.parse_args().names or COMMANDS:
        load = os.getloadavg()[0]
        command = [sys.executable, "-W", "ignore", *COMMANDS[name]]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
        table = "\n".join(line for line in answer.splitlines() if line.startswith("|"))
        if not table:
            sys.exit(f"{name}: printed no table")
        note = f"Load of the {os.cpu_count()} processors when it began: {load:.1f}."
        page = PAGE.read_text(encoding="utf-8")
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not place.search(page):
            sys.exit(f"{PAGE}: no <!-- {name} -->")
        text = place.sub(lambda m, t=table, n=note: f"{m[1]}\n{t}\n\n{n}\n\n{m[2]}", page)
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
