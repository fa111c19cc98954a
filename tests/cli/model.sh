# genchi model inspect, and prompts.
. tests/lib.sh

model=tests/golden/architecture/xlm_roberta
run "$genchi" model inspect "$model"
expect_status "inspect" 0
expect "inspect: positions" out "learned, from row 2 on"
expect "inspect: norms" out "layer norm after"
expect "inspect: attention" out "both ways, 4 heads of 4"
expect "inspect: tokenizer parts" out "BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing"
expect "inspect: after pooling" out "unit length"
expect "inspect: unused" out "pooler.dense.bias, pooler.dense.weight"
run "$genchi" model inspect "$model" --lang ja --prompt query
expect_status "inspect, ja" 0
expect "inspect, ja: prompt" out "the report: "
expect "inspect, ja: none missing" out "なし"
run "$genchi" model inspect "$model" --json --prompt 'say "this": ' --pooling weighted-mean
expect_status "inspect, json" 0
expect "inspect, json: prompt" out '"prompt": "say \"this\": "'
expect "inspect, json: pooling" out '"pooling": "weighted-mean"'
if python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$work/out" 2>/dev/null || ! command -v python3 >/dev/null; then
    pass
else
    fail "inspect, json: not JSON"
fi

printf 'the pump\nno\n' >"$work/texts.txt"
printf 'at once: the pump\nat once: no\n' >"$work/with.txt"
for prompt in passage 'at once: '; do
    run "$genchi" embed --model "$model" --input "$work/texts.txt" --prompt "$prompt" --out "$work/a.npy" --quiet
    expect_status "embed with a prompt" 0
    run "$genchi" embed --model "$model" --input "$work/with.txt" --out "$work/b.npy" --quiet
    if cmp -s "$work/a.npy" "$work/b.npy"; then pass; else fail "the prompt $prompt is not what stands before a text"; fi
done
run "$genchi" embed --model "$model" --input "$work/texts.txt" --prompt query --out "$work/a.npy" --quiet
if cmp -s "$work/a.npy" "$work/b.npy"; then fail "another prompt, the same vectors"; else pass; fi

cp -r "$model" "$work/model"
sed 's/"hidden_act": "gelu"/"hidden_act": "mish"/' "$model/config.json" >"$work/model/config.json"
run "$genchi" model inspect "$work/model"
expect_status "inspect, refused" 1
expect "inspect, refused" err '"mish"'

run "$genchi" check --train examples/data/en_train.csv --test examples/data/en_field.csv --model "$model" --prompt query \
    --out "$work/report" --quiet --permutations 19 --folds 2
expect_status "check with a prompt" 0
if grep -q '"prompt": "the report: "' "$work/report/result.json"; then pass; else fail "result.json lacks the prompt"; fi
if grep -q 'the report: ' "$work/report/report.html"; then pass; else fail "report.html lacks the prompt"; fi
finish
