#!/bin/sh
# tables.sh BENCH STUDY: puts the tables of the studies kept in the folder STUDY (make calibrate) into the documents,
# between their marks "<!-- tables -->" and "<!-- end of tables -->". BENCH: the folder of the programs. A document
# of which a study is missing is left as it is.
set -eu
bench=$1 study=$2
new=$(mktemp)
trap 'rm -f "$new" "$new.doc"' EXIT

# tables DOCUMENT PROGRAM PREFIX PART…: a table a part, from PREFIXpart.tsv
tables() {
    document=$1 program=$2 prefix=$3
    shift 3
    : >"$new"
    for part; do
        if [ ! -s "$study/$prefix$part.tsv" ]; then
            echo "$document is left as it is: no $study/$prefix$part.tsv" >&2
            return
        fi
        "$bench/$program" "$part" 0 "$study/$prefix$part.tsv" >>"$new"
    done
    awk -v new="$new" '
        /^<!-- end of tables -->/ { skip = 0 }
        !skip { print }
        /^<!-- tables -->/ { while ((getline line <new) > 0) print line; skip = 1 }' "$document" >"$new.doc"
    cat "$new.doc" >"$document"
}

tables docs/calibration.md calibrate "" level power equivalence graded graded_other
tables docs/calibration-kinds.md calibrate_kinds kinds_ kinds coverage rows
tables docs/coverage.md coverage cov_ domain probe line plane scores
