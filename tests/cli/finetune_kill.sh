# A fine-tuning killed again and again, within fits and between them, ends with the figures of one that was let alone.
. tests/lib.sh
data=examples/data
model=tests/golden/model/bert
if [ ! -f $model/model.safetensors ]; then
    skip "finetune_kill: no $model"
    finish
    exit
fi
# fits of more than 400 steps, which are kept half-way too
common="--train $data/en_train.csv --test $data/en_field.csv --model $model --cache off --methods full --train-on train
    --seeds 2 --epochs 12 --batch 8 --quiet"
strip_times() {
    sed -e '/"timing": {/,/}/d' -e '/"created"/d' -e '/"threads"/d' -e '/"command"/d' -e '/"seconds"/d' \
        -e '/"peak_memory"/d' -e '/"core_seconds"/d' "$1"
}
# shellcheck disable=SC2086  # words
run "$genchi" finetune $common --threads 2 --out "$work/whole"
expect_status "let alone" 0

kills=0
for wait in 0.3 0.5 0.7 0.9 1.1 0.4 0.6 0.8; do
    # shellcheck disable=SC2086
    "$genchi" finetune $common --threads 2 --checkpoint "$work/fits" --out "$work/killed" >/dev/null 2>&1 &
    process=$!
    sleep $wait
    if kill -9 $process 2>/dev/null; then kills=$((kills + 1)); fi
    wait $process 2>/dev/null
done
if [ "$kills" -gt 0 ]; then pass; else fail "every run ended before it was killed"; fi
# shellcheck disable=SC2086
run "$genchi" finetune $common --threads 3 --checkpoint "$work/fits" --out "$work/killed"
expect_status "the last one" 0
strip_times "$work/whole/result.json" >"$work/a"
strip_times "$work/killed/result.json" >"$work/b"
run cmp "$work/a" "$work/b"
expect_status "the same figures" 0
if ls "$work"/fits/*.tmp-* >/dev/null 2>&1; then fail "killed runs left files aside"; else pass; fi
finish
