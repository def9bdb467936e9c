#!/bin/sh
# Make .venv ready: setup.sh NAME EXTRAS [GROUP]
#   NAME    what is being set up; a stamp .venv/.ready-NAME makes the second call quick
#   EXTRAS  extras of the package, separated by commas
#   GROUP   dependency group of pyproject.toml to install beside it
# PYTHON chooses the interpreter (3.11 or newer). pip's own variables work as usual
# (PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS, PIP_PROXY ...).
set -eu

name=$1 extras=$2 group=${3:-}
# The pair that pip resolves together and the tests run on.
torch="torch==2.14.1 torchvision==0.29.1"

cd "$(dirname "$0")/.."
stamp=.venv/.ready-$name
manifest=napari_semxai/napari.yaml
key=$(cat pyproject.toml hatch_build.py scripts/setup.sh | cksum)" $extras $group $(pwd)"

if [ -e "$manifest" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
    exit 0
fi

say() { printf '%s\n' "setup: $*"; }

# Libraries that the Qt wheels expect of the system, by the Debian package that holds them.
# Qt needs them for a window; Xvfb is the tests' display.
missing_packages() {
    libraries=$(/sbin/ldconfig -p 2>/dev/null || true)
    while read -r library package; do
        case $libraries in *"$library "*) ;; *) printf '%s ' "$package" ;; esac
    done <<LIST
libGL.so.1 libgl1
libEGL.so.1 libegl1
libX11-xcb.so.1 libx11-xcb1
libdbus-1.so.3 libdbus-1-3
libfontconfig.so.1 libfontconfig1
libgthread-2.0.so.0 libglib2.0-0
libxcb-cursor.so.0 libxcb-cursor0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-image.so.0 libxcb-image0
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-randr.so.0 libxcb-randr0
libxcb-render-util.so.0 libxcb-render-util0
libxcb-shape.so.0 libxcb-shape0
libxcb-xinerama.so.0 libxcb-xinerama0
libxkbcommon-x11.so.0 libxkbcommon-x11-0
LIST
    command -v Xvfb >/dev/null || printf 'xvfb '
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2], end=" ")'
}

find_python() {
    for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer not found; install it or set PYTHON=/path/to/python" >&2
    return 1
}

system_libraries() {
    packages=$(missing_packages)
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root='env'
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n env"
    else
        as_root=
    fi
    if [ -n "$as_root" ] && command -v apt-get >/dev/null; then
        say "installing system packages: $packages"
        $as_root DEBIAN_FRONTEND=noninteractive apt-get -qq update
        # shellcheck disable=SC2086
        $as_root DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y \
            $packages >/dev/null
    else
        say "going on without these system packages; if the window does not open, run:"
        say "  sudo apt-get install $packages"
    fi
}

# What is never imported need not be compiled.
pip_install() {
    .venv/bin/python -m pip --disable-pip-version-check --quiet install --no-compile "$@"
}

python_packages() {
    .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
    pip_install --upgrade "pip>=25.1" setuptools wheel "hatchling>=1.26" editables
    say "torch (the biggest download)"
    # shellcheck disable=SC2086
    pip_install $torch
    # sam2 is built against the torch that is there; with isolation pip would fetch another.
    say "sam2"
    SAM2_BUILD_CUDA=0 pip_install --no-build-isolation "sam2>=1.1.0"
    say "napari-semxai[$extras]${group:+ and the $group tools}"
    # shellcheck disable=SC2086
    pip_install --no-build-isolation -e ".[$extras]" ${group:+--group "$group"}
}

python=$(find_python)
system_libraries
rm -f "$stamp"
python_packages
printf '%s\n' "$key" >"$stamp"
say "ready"
