#!/bin/sh
# Runs the comparisons with other tools: every bench/peers/*.py, or those that PEERS names (PEERS="embed detect").
# Each has its pinned requirements in requirements-NAME.txt and, because their pins differ, an environment of its own,
# build/peers-venv/NAME. Options for a script go into PEERS_OPTIONS. Results: build/peers/.
# Usage: bench/peers/run.sh GENCHI_BUILD_FOLDER
set -eu
build=$1
here=$(dirname "$0")
environments=build/peers-venv
if [ "${PEERS:-all}" = all ]; then
    PEERS=$(cd "$here" && ls ./*.py | sed 's|^\./||; s|\.py$||')
fi
for name in $PEERS; do
    if [ ! -f "$here/$name.py" ]; then
        echo "bench/peers/run.sh: there is no bench/peers/$name.py" >&2
        exit 2
    fi
    environment=$environments/$name
    wanted=$here/requirements-$name.txt
    installed=$environment/installed.txt
    [ -x "$environment/bin/python" ] || python3 -m venv "$environment"
    if [ -f "$wanted" ] && ! cmp -s "$wanted" "$installed"; then
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$installed"
    fi
done
export GENCHI="$build/genchi" GENCHI_LIBRARY="$build/libgenchi.so" GENCHI_PRODUCT="$build/product" \
    GENCHI_DETECT_SPEED="$build/bench/detect_speed"
GENCHI_MODEL=${GENCHI_MODEL:-$(scripts/fetch-demo-model.sh)}
GENCHI_DATA=${DATA:-../shared/data/sentiment140}
export GENCHI_MODEL GENCHI_DATA
for name in $PEERS; do
    echo "== $name"
    # shellcheck disable=SC2086 # options are several words
    "$environments/$name/bin/python" "$here/$name.py" ${PEERS_OPTIONS:-}
done
