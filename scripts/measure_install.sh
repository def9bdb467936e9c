#!/bin/sh
# Time and disk of the two installs, from a fresh clone and without pip's cache: the numbers
# in README.md and docs/install.md. Needs 15 GB in TMPDIR.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_NO_CACHE_DIR=1

measure() { # TITLE TARGET CRAFT
    rm -rf "$work/clone"
    git clone --quiet "$root" "$work/clone"
    start=$(date +%s)
    make --no-print-directory -C "$work/clone" "$2" CRAFT="$3" >"$work/log" 2>&1 ||
        { cat "$work/log"; exit 1; }
    seconds=$(($(date +%s) - start))
    megabytes=$(du -sm "$work/clone/.venv" | cut -f1)
    printf '%-28s %4d s  %6d MB\n' "$1" "$seconds" "$megabytes"
}

measure "make demo" setup-demo 0
measure "make test" setup-dev 0
measure "make demo CRAFT=1" setup-demo 1
