# The whole line on the example data with the built-in model: what comes out, and what cannot be broken.
. tests/lib.sh
data=examples/data

run "$genchi" check --train $data/en_train.csv --test $data/en_field.csv --test-group customer \
    --model builtin:char-ngram --out "$work/report"
expect_status "check" 0
expect "check says where the report lies" out "Report: $work/report/report.html"
for f in report.html result.json plane.svg marginal.svg overlap.svg probes.svg shift.svg train.npy test.npy; do
    expect_file "check writes" "$work/report/$f"
done
if [ -s "$work/err" ]; then fail "check in a pipe shows no progress"; else pass; fi
if ls "$work"/report/*tmp* >/dev/null 2>&1; then fail "temporary files are left"; else pass; fi
cp "$work/report/result.json" "$work/first.json"

# the keys that docs/result-json.md promises
for key in schema verdict shift overlap probe model control timing by_label p_value yardstick test_cv \
    test_cv_grouped train_to_test train_heldout reasons sha256; do
    if grep -q "\"$key\":" "$work/report/result.json"; then pass; else fail "result.json lacks $key"; fi
done
grep -q '"schema": "genchi.result/1"' "$work/report/result.json" && pass || fail "schema"

# determinism: other thread counts, the same bits but for times
strip_times() {
    sed -e '/"timing": {/,/}/d' -e '/"created"/d' -e '/"threads"/d' -e '/"command"/d' "$1"
}
run "$genchi" check --train $data/en_train.csv --test $data/en_field.csv --test-group customer \
    --model builtin:char-ngram --out "$work/again" --threads 3 --quiet
expect_status "check --threads 3" 0
if [ -s "$work/out" ]; then fail "--quiet prints"; else pass; fi
strip_times "$work/first.json" >"$work/a"
strip_times "$work/again/result.json" >"$work/b"
if cmp -s "$work/a" "$work/b"; then pass; else fail "the number of threads changes result.json"; fi
if cmp -s "$work/report/train.npy" "$work/again/train.npy"; then pass; else fail "the number of threads changes embeddings"; fi

# a gate
run "$genchi" check --train $data/en_train.csv --test $data/en_field.csv --test-group customer \
    --model builtin:char-ngram --out "$work/again" --gate --json
code=$(sed -n 's/^ *"code": "\([a-z_]*\)".*/\1/p' "$work/out" | head -n 1)
case $code in
linear_probe | fine_tune) expect_status "--gate with $code" 0 ;;
fix_data | rethink_data | more_data) expect_status "--gate with $code" 10 ;;
*) fail "--json prints no verdict" ;;
esac

# in Japanese, and rendered again in English from result.json
run "$genchi" check --train $data/ja_train.csv --test $data/ja_field.csv --test-group customer \
    --model builtin:char-ngram --out "$work/ja" --lang ja
expect_status "check, ja" 0
expect "check, ja" out "判定"
if grep -q '<html lang="ja"' "$work/ja/report.html"; then pass; else fail "the report's language"; fi
run "$genchi" report "$work/ja/result.json" --out "$work/ja-en" --lang en
expect_status "report" 0
if grep -q '<html lang="en"' "$work/ja-en/report.html"; then pass; else fail "the rendered report's language"; fi
run "$genchi" report "$work/ja-en/result.json" --out "$work/ja-ja" --lang ja
if cmp -s "$work/ja/result.json" "$work/ja-ja/result.json"; then pass; else fail "result.json changes when rendered again"; fi
# the page is drawn again from densities kept to six digits: once, and then for good
run "$genchi" report "$work/ja-ja/result.json" --out "$work/ja-2" --lang ja
if cmp -s "$work/ja-2/report.html" "$work/ja-ja/report.html"; then pass; else fail "a report changes when rendered again"; fi

# the steps alone, from the texts and from .npy
run "$genchi" detect $data/en_train.csv $data/en_field.csv --model builtin:char-ngram
expect_status "detect" 0
run "$genchi" detect "$work/report/train.npy" "$work/report/test.npy" --json
expect_status "detect .npy" 0
expect "detect .npy" out '"answer"'
run "$genchi" detect "$work/report/train.npy" "$work/report/test.npy" --kernel-tolerance 0.5 --permutations 19
expect_status "detect, equivalence by kernel" 0
expect "detect, equivalence by kernel" out 'equivalent within 0.5'
run "$genchi" detect "$work/report/train.npy" "$work/report/test.npy" --kernel-tolerance 1e-6 --json --permutations 19
expect "detect, equivalence as JSON" out '"equivalent": false'

# a text that several sets hold stays in the last of them
run "$genchi" detect $data/en_train.csv $data/en_field.csv $data/en_field.csv --model builtin:char-ngram --permutations 19
expect_status "detect, a set twice" 1
expect "detect, a set twice" err 'nothing is left of it'
head -n 200 $data/en_field.csv >"$work/first.csv"
run "$genchi" detect $data/en_train.csv "$work/first.csv" $data/ja_field.csv --model builtin:char-ngram --permutations 19
expect_status "detect, three sets" 0
expect "detect, three sets" out 'texts left out'
run "$genchi" detect $data/en_train.csv "$work/first.csv" $data/ja_field.csv --model builtin:char-ngram \
    --permutations 19 --keep-duplicates --json
expect "detect, duplicates kept" out '"left_out": 0}, {'
run "$genchi" see "$work/report/train.npy" "$work/report/test.npy" --out "$work/see"
expect_status "see .npy" 0
expect_file "see .npy" "$work/see/plane.svg"
awk -F, 'NR > 1 { print (NR % 3 == 0 ? "good" : "bad") }' $data/en_train.csv | head -n 400 >"$work/labels"
run "$genchi" embed --model builtin:char-ngram --input $data/en_field.csv --out "$work/e.npy"
expect_status "embed" 0
expect_file "embed" "$work/e.npy"
run "$genchi" probe $data/en_train.csv $data/en_field.csv --model builtin:char-ngram --test-group customer
expect_status "probe" 0

# texts can be kept out of the report
word=$(sed -n 2p $data/en_field.csv | tr -d '"' | cut -d, -f2 | cut -c1-24)
run "$genchi" check --train $data/en_train.csv --test $data/en_field.csv --model builtin:char-ngram \
    --out "$work/hidden" --hide-texts --quiet
expect_status "--hide-texts" 0
if grep -qF "$word" "$work/hidden/report.html" "$work/hidden/result.json"; then fail "--hide-texts shows a text"; else pass; fi
finish
