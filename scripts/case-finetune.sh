#!/bin/sh
# The second half of docs/case-sentiment140.md: fine-tuning of MiniLM beside the probe on Sentiment140, five seeds,
# trained on train and on test, judged on the same test folds, ordinary and by query term. Stopped at any moment,
# the same command goes on: every fit is kept in OUT/fits.
#
# Usage: scripts/case-finetune.sh [OUT] [GENCHI]
set -eu
out=${1:-case-finetune}
genchi=${2:-build/gcc/genchi}
data=../shared/data/sentiment140
if [ ! -f "$data/train_sample_20k.csv" ]; then
    echo "case-finetune.sh: $data is not here" >&2
    exit 1
fi
model=$(scripts/fetch-demo-model.sh)
common="--preset sentiment140 --train $data/train_sample_20k.csv --test $data/test_manual.csv --model $model --dtype bfloat16
    --epochs 1 --checkpoint $out/fits --hide-texts --lang en"
# Seed by seed, so that a stop leaves whole seeds: "finetune --seeds N" then shows what the first N say.
for seeds in 1 2 3 4; do
    # shellcheck disable=SC2086  # words
    "$genchi" finetune $common --methods full,lora,lp-ft --train-on train,test --seeds $seeds --out "$out/seeds-$seeds"
done
# shellcheck disable=SC2086
exec "$genchi" check $common --fine-tune=full,lora,lp-ft --train-on train,test --seeds 5 --out "$out"
