# Fine-tuning beside the probe, with a small random model: what comes out, and what a stop loses.
. tests/lib.sh
data=examples/data
model=tests/golden/model/bert
if [ ! -f $model/model.safetensors ]; then
    skip "finetune: no $model"
    finish
    exit
fi
common="--train $data/en_train.csv --test $data/en_field.csv --test-group customer --model $model --cache off"

# shellcheck disable=SC2086  # words
run "$genchi" finetune $common --methods full --train-on train,test --seeds 2 --folds 2 --epochs 1 \
    --checkpoint "$work/fits" --out "$work/report"
expect_status "finetune" 0
expect "table" out "linear probe, on train"
expect "table" out "full, on test"
expect "finetune says where the report lies" out "Report: $work/report/report.html"
for f in report.html result.json finetune.svg moved.svg; do expect_file "finetune writes" "$work/report/$f"; done
for key in finetune methods trained_on vs_probe answer heldout test_grouped layer_change cka_test core_seconds logme; do
    if grep -q "\"$key\":" "$work/report/result.json"; then pass; else fail "result.json lacks $key"; fi
done
run "$genchi" report "$work/report/result.json" --lang ja
expect_status "report in Japanese" 0
expect "report in Japanese" out "微調整"

# the kept fits give the same figures, whatever the threads; nothing is trained again
strip_times() {
    sed -e '/"timing": {/,/}/d' -e '/"created"/d' -e '/"threads"/d' -e '/"command"/d' -e '/"seconds"/d' \
        -e '/"peak_memory"/d' -e '/"core_seconds"/d' "$1"
}
fits=$(find "$work/fits" -name 'fit-*.bin' | wc -l)
# full: once a seed on train; lp: once; both: two folds twice (ordinary, by customer) a seed on test
if [ "$fits" -eq 19 ]; then pass; else fail "$fits fits are kept"; fi
# shellcheck disable=SC2086
run "$genchi" finetune $common --methods full --train-on train,test --seeds 2 --folds 2 --epochs 1 --threads 1 \
    --checkpoint "$work/fits" --out "$work/again" --quiet
expect_status "finetune again" 0
if [ -s "$work/out" ]; then fail "--quiet prints"; else pass; fi
strip_times "$work/report/result.json" >"$work/a"
strip_times "$work/again/result.json" >"$work/b"
run cmp "$work/a" "$work/b"
expect_status "the same figures" 0

# saving what transformers loads; what was asked for is what is trained
# shellcheck disable=SC2086
run "$genchi" finetune $common --methods lora --train-on train --seeds 1 --epochs 1 --save "$work/model" --quiet \
    --lora-rank 4 --lora-alpha 3 --lora-targets key,mlp --dropout 0.25 --schedule cosine --class-weights balanced
expect_status "finetune --save" 0
expect_file "adapter" "$work/model/adapter_model.safetensors"
for setting in '"r": 4' '"lora_alpha": 3.0' '"lora_dropout": 0.25' 'attention\\.self\\.key|' 'intermediate\\.dense|'; do
    if grep -qF -e "$setting" "$work/model/adapter_config.json"; then pass; else fail "adapter_config.json lacks $setting"; fi
done
if grep -qF query "$work/model/adapter_config.json"; then fail "adapters that nobody asked for"; else pass; fi

# as part of the check
# shellcheck disable=SC2086
run "$genchi" check $common --fine-tune=full --train-on train --seeds 1 --epochs 1 --out "$work/check" --quiet
expect_status "check --fine-tune" 0
if grep -q '"verdict": {' "$work/check/result.json" && grep -q '"trained_on": "train"' "$work/check/result.json"; then
    pass
else
    fail "check --fine-tune: no verdict or no methods"
fi

# wrong words
# shellcheck disable=SC2086
run "$genchi" finetune $common --methods full,loro
expect_status "unknown method" 2
expect "unknown method" err '"loro" is none of lp, full, lora, lp-ft, last-k'
# shellcheck disable=SC2086
run "$genchi" finetune $common --lora-targets query,gate
expect_status "unknown target" 2
expect "unknown target" err '"gate" is none of query, key, value, out, mlp'
# shellcheck disable=SC2086
run "$genchi" finetune $common --train-on field
expect_status "unknown source" 2
# shellcheck disable=SC2086
run "$genchi" finetune $common --memory lots
expect_status "bad size" 2
run "$genchi" finetune --train x.npy --test y.npy --model $model
expect_status "embeddings" 2
run "$genchi" finetune --train x
expect_status "missing option" 2
run "$genchi" finetune --train $data/en_train.csv --test $data/en_field.csv --model builtin:char-ngram --cache off
if [ "$status" -ne 0 ]; then pass; else fail "a built-in model is fine-tuned"; fi
# shellcheck disable=SC2086
run "$genchi" finetune $common --methods full --train-on train --seeds 1 --save "$work/x" --save-method lp
expect_status "nothing to save of the probe" 2
expect "nothing to save of the probe" err '"lp" is none of full, lora, lp-ft, last-k'
finish
