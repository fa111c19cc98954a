#!/bin/sh
# Time and memory of every step of one `genchi check`. Usage: bench/check.sh GENCHI [check options]
# Without options: the Sentiment140 case (DATA names its folder) with the demo model where both are there, else
# the example data with the built-in model.
set -eu
genchi=$1
shift
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
data=${DATA:-../shared/data/sentiment140}
if [ $# -eq 0 ]; then
    if [ -f "$data/train_sample_20k.csv" ] && model=$(scripts/fetch-demo-model.sh 2>/dev/null); then
        set -- --preset sentiment140 --train "$data/train_sample_20k.csv" --test "$data/test_manual.csv" --model "$model"
    else
        set -- --train examples/data/en_train.csv --test examples/data/en_field.csv --test-group customer \
            --model builtin:char-ngram
    fi
fi
sed -n 's/^model name[^:]*: */CPU: /p' /proc/cpuinfo | head -n 1
echo "Processors: $(nproc), $(uname -sr), load $(cut -d' ' -f1 /proc/loadavg)"
echo "genchi check $*"
"$genchi" check "$@" --out "$out" --quiet --cache off
awk '
    /"timing": \{/ { inside = 1 }
    /"peak_memory_after": \{/ { after = 1; next }
    inside && /": [0-9]/ {
        gsub(/[",:]/, " ")
        if (after) peak[$1] = $2; else { seconds[$1] = $2 }
    }
    inside && /\}/ { if (after) after = 0; else inside = 0 }
    END {
        n = split("read load embed verify see detect control", step, " ")
        printf "%-10s %10s %18s\n", "step", "seconds", "peak so far, MB"
        for (i = 1; i <= n; i++) printf "%-10s %10.2f %18.0f\n", step[i], seconds[step[i]], peak[step[i]] / 1e6
        printf "%-10s %10.2f %18.0f\n", "total", seconds["total"], seconds["peak_memory"] / 1e6
    }' "$out/result.json"
