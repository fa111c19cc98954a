#!/bin/sh
# Peak memory of `genchi embed` on generated files of growing size. Usage: bench/stream.sh GENCHI [MODEL [MB...]]
# Default: the built-in model, 30 and 300 MB of text, CHARACTERS=240 a text at least. Prints one line a size, the peak
# after a quarter of its time too; needs disk for the vectors (about ten times the text with 512 dimensions), in TMPDIR.
set -eu
genchi=$1
model=${2:-builtin:char-ngram}
characters=${CHARACTERS:-240}
shift
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 30 300
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
sed -n 's/^model name[^:]*: */CPU: /p' /proc/cpuinfo | head -n 1
echo "Processors: $(nproc), $(uname -sr), load $(cut -d' ' -f1 /proc/loadavg); model $model, float16"
printf '%8s %10s %12s %12s %12s %12s\n' "text MB" rows "seconds" "CPU seconds" "quarter MB" "peak MB"
for size in "$@"; do
    # a fixed stream of words, every text another
    awk -v bytes="$((size * 1000000))" -v characters="$characters" 'BEGIN {
        srand(1)
        print "text"
        for (n = 5; n < bytes; n += length(line) + 1) {
            line = ""
            while (length(line) < characters) line = line sprintf("word%d of %d ", rand() * 50000, rand() * 300)
            print line
        }
    }' >"$work/in.csv"
    "$genchi" embed --model "$model" --input "$work/in.csv" --format text --out "$work/x.npy" \
        --output-type float16 --quiet 2>"$work/log" &
    pid=$!
    begin=$(date +%s%N)
    peak=0 ticks=0
    : >"$work/peaks"
    while [ -r "/proc/$pid/status" ]; do
        now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null || true)
        used=$(cut -d')' -f2 "/proc/$pid/stat" 2>/dev/null | awk '{ print $12 + $13 }' || true)
        [ -z "$now" ] || peak=$now
        echo "$peak" >>"$work/peaks"
        [ -z "$used" ] || ticks=$used
        sleep 0.05
    done
    wait "$pid" || { cat "$work/log"; exit 1; }
    pid=
    took=$((($(date +%s%N) - begin) / 1000000))
    rows=$(sed -n 's/^  "rows": \([0-9]*\),/\1/p' "$work/x.npy.json")
    quarter=$(sed -n "$(($(wc -l <"$work/peaks") / 4 + 1))p" "$work/peaks")
    echo "$size $rows $took $ticks $peak $(getconf CLK_TCK) $quarter" |
        awk '{ printf "%8d %10d %12.1f %12.1f %12.0f %12.0f\n", $1, $2, $3 / 1000, $4 / $6, $7 * 1024 / 1e6,
               $5 * 1024 / 1e6 }'
    rm -f "$work"/x.npy*
done
