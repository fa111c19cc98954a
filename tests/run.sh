#!/bin/sh
# Runs every unit test and every command-line test of one build folder, adds up what they report, and
# prints "N passed, N failed, N skipped" last. Usage: tests/run.sh BUILD
# JOBS of them at a time (as many as there are processors): each has folders and ports of its own.
set -u

report() { # TEST STATUS LOG COUNTS SECONDS: what is to be seen of it, and its sums as a line of COUNTS
    name=$(basename "$1")
    seconds=$5
    found=$(tail -n 1 "$3" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ -z "$found" ]; then
        cat "$3"
        echo "FAIL $name: ended with status $2 and no summary"
        echo "0 1 0" >>"$4"
        return
    fi
    grep -E '^(FAIL|skip)' "$3"
    # shellcheck disable=SC2086 # three numbers
    set -- "$1" "$2" "$3" "$4" $found
    if [ "$2" -ne 0 ] && [ "$6" -eq 0 ]; then
        tail -n 30 "$3"
        echo "FAIL $name: ended with status $2"
        set -- "$1" "$2" "$3" "$4" "$5" 1 "$7"
    fi
    echo "$5 $6 $7" >>"$4"
    printf '%-28s %s passed, %s failed, %s skipped, %s s\n' "$name" "$5" "$6" "$7" "$seconds"
}

if [ "${1:-}" = --one ]; then # FOLDER BUILD TEST
    log=$2/$(basename "$4").log
    start=$(date +%s)
    case $4 in
    *.sh) sh "$4" "$3" >"$log" 2>&1 ;;
    *) "$4" >"$log" 2>&1 ;;
    esac
    status=$?
    report "$4" "$status" "$log" "$2/counts" "$(($(date +%s) - start))" >"$log.seen"
    cat "$log.seen"
    exit 0
fi

build=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for t in "$build"/tests/test_* tests/cli/*.sh; do
    case $t in
    *.sh) [ -f "$t" ] && echo "$t" ;;
    *) [ -x "$t" ] && echo "$t" ;;
    esac
done >"$folder/tests"
: >"$folder/counts"
xargs -P "${JOBS:-$(nproc)}" -n 1 sh "$0" --one "$folder" "$build" <"$folder/tests"
# A test that left no counts (killed with its shell) has failed.
awk -v tests="$(wc -l <"$folder/tests")" '
    { passed += $1; failed += $2; skipped += $3 }
    END {
        failed += tests - NR
        printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
        exit failed > 0
    }' "$folder/counts"
