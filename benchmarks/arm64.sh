#!/usr/bin/env bash
# A 64-bit ARM Debian with the light installation, to run under user-mode emulation:
#
#     sudo apt-get install qemu-user-static mmdebstrap arch-test
#     sudo benchmarks/arm64.sh FOLDER
#     MEDNCA_ARM64=FOLDER python -m pytest tests/test_aarch64.py
#
# FOLDER/tree: Debian 12's Python and its libraries. FOLDER/wheels: what a Raspberry Pi without internet installs from.
# FOLDER/site: these wheels, unpacked for the tree's Python. Takes about two minutes and 400 MB.
set -euo pipefail
folder=$(realpath -m "${1:?name a folder}")
cd "$(dirname "$0")/.."
mkdir -p "$folder"

mmdebstrap --variant=extract --architectures=arm64 --skip=check/qemu --include=python3,libstdc++6 \
    bookworm "$folder/tree" http://deb.debian.org/debian

source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
cp -r setup.py pyproject.toml README.md LICENSE mednca_pipeline dataset_conversion "$source" # pip builds where it reads
python3 -m pip wheel --quiet --no-deps --wheel-dir "$folder/wheels" "$source"

pi=(--platform manylinux2014_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64)
pi+=(--python-version 3.11 --only-binary=:all:)
python3 -m pip download --quiet --dest "$folder/wheels" "${pi[@]}" -c constraints.txt "$folder"/wheels/mednca_pipeline-*.whl
python3 -m pip install --quiet --no-index --find-links "$folder/wheels" --target "$folder/site" "${pi[@]}" mednca_pipeline
du -sh "$folder"/*
