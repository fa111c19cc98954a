#!/bin/sh
# Runs every unit test and every command-line test of one build folder, adds up what they report, and
# prints "N passed, N failed, N skipped" last. Usage: tests/run.sh BUILD
set -u
build=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

add() { # name, exit status: adds the counts of the log's last line
    counts=$(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ -z "$counts" ]; then
        cat "$log"
        echo "FAIL $1: ended with status $2 and no summary"
        failed=$((failed + 1))
        return
    fi
    set -- "$1" "$2" $counts
    passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
    grep -E '^(FAIL|skip)' "$log"
    if [ "$2" -ne 0 ] && [ "$4" -eq 0 ]; then
        tail -n 30 "$log"
        echo "FAIL $1: ended with status $2"
        failed=$((failed + 1))
    fi
    printf '%-28s %s passed, %s failed, %s skipped\n' "$1" "$3" "$4" "$5"
}

for t in "$build"/tests/test_*; do
    [ -x "$t" ] || continue
    "$t" >"$log" 2>&1
    add "$(basename "$t")" $?
done
for t in tests/cli/*.sh; do
    [ -f "$t" ] || continue
    sh "$t" "$build" >"$log" 2>&1
    add "$(basename "$t")" $?
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
