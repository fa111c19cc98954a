#!/bin/sh
# Makes a fresh virtual environment and holds genchi against the Python libraries in it. Ends with "N passed,
# N failed". Usage: tests/conformance/run.sh GENCHI_BUILD_FOLDER full|short [OPTION of conformance.py ...]
# short: where the packages cannot be had, says so and ends with "0 passed, 0 failed, 1 skipped", status 0.
set -u
build=$1 form=$2
shift 2
here=$(dirname "$0")
environment=build/conformance-$form
case $form in
full) wanted=$here/requirements.txt ;;
short) wanted=$here/requirements-short.txt ;;
*)
    echo "run.sh: full or short, not $form" >&2
    exit 2
    ;;
esac

could_not() {
    echo "conformance: not run, because $1 (wanted: $(grep -v '^#' "$wanted" | tr '\n' ' '))"
    [ "$form" = short ] || exit 1
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

python3 -m venv --clear "$environment" >/dev/null 2>&1 || could_not "python3 -m venv does not work here"
# One try, and no long waiting: without a network CI should go on soon.
"$environment/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 -r "$wanted" ||
    could_not "pip could not install the packages"
if [ "$form" = full ] && [ -z "${GENCHI_MODEL:-}" ]; then
    GENCHI_MODEL=$(scripts/fetch-demo-model.sh) || could_not "all-MiniLM-L6-v2 cannot be had"
fi
export GENCHI_MODEL
PYTHONPATH= exec "$environment/bin/python" "$here/conformance.py" --build "$build" --form "$form" "$@"
