#!/bin/sh
# tables.sh BENCH STUDY: puts the tables of the studies kept in the folder STUDY (make calibrate) into the documents,
# between their marks "<!-- tables -->" and "<!-- end of tables -->". BENCH: the folder of the programs.
set -eu
bench=$1 study=$2
texts=
if [ -f "$study/BASE.npy" ] && [ -f "$study/OTHER.npy" ]; then texts="$study/BASE.npy $study/OTHER.npy"; fi
new=$(mktemp)
trap 'rm -f "$new" "$new.doc"' EXIT

# between DOCUMENT: puts $new between the marks
between() {
    awk -v new="$new" '
        /^<!-- end of tables -->/ { skip = 0 }
        !skip { print }
        /^<!-- tables -->/ { while ((getline line <new) > 0) print line; skip = 1 }' "$1" >"$new.doc"
    cat "$new.doc" >"$1"
}
kept() { [ -s "$study/$1.tsv" ]; }

: >"$new"
# shellcheck disable=SC2086  # two paths
for part in level power equivalence graded; do
    if kept $part; then "$bench/calibrate" $part 0 "$study/$part.tsv" $texts >>"$new"; fi
done
# of other texts than the example's (docs/calibration.md says which)
if kept graded_other && [ -f "$study/BASE_other.npy" ]; then
    "$bench/calibrate" graded 0 "$study/graded_other.tsv" "$study/BASE_other.npy" "$study/OTHER_other.npy" >>"$new"
fi
between docs/calibration.md
: >"$new"
for part in kinds coverage rows; do
    if kept kinds_$part; then "$bench/calibrate_kinds" $part 0 "$study/kinds_$part.tsv" >>"$new"; fi
done
between docs/calibration-kinds.md
: >"$new"
for part in domain probe line plane scores; do
    if kept cov_$part; then "$bench/coverage" $part 0 "$study/cov_$part.tsv" >>"$new"; fi
done
between docs/coverage.md
