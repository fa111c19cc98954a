#!/bin/sh
# The demo: check the example data with the demo model. Usage: scripts/demo.sh GENCHI [en|ja]
set -eu

genchi=$1
lang=${2:-en}
if model=$(scripts/fetch-demo-model.sh); then
    echo "Model: $model"
else
    model=builtin:char-ngram
    echo "The demo model cannot be had here; the demo runs on the built-in model $model instead."
fi
out=genchi-report/demo-$lang
set -- check --train "examples/data/${lang}_train.csv" --test "examples/data/${lang}_field.csv" \
    --test-group customer --model "$model" --out "$out" --lang "$lang"
echo "\$ genchi $*"
echo
"$genchi" "$@"
