# Bad input: a clear error, the right exit status, nothing lost.
. tests/lib.sh
data=examples/data
check() { # options ...
    run "$genchi" check --model builtin:char-ngram --out "$work/report" --quiet "$@"
}
field=$data/en_field.csv

check --train "$work/nothing.csv" --test $field
expect_status "missing file" 1
expect "missing file" err "$work/nothing.csv"
check --train "$work" --test $field
expect_status "a folder" 1
check --train $data/en_train.csv --test $field --text wrongname
expect_status "wrong column" 2
expect "wrong column names it" err "wrongname"
expect "wrong column says which there are" err '"text"'
head -n 15 $data/en_train.csv >"$work/short.csv"
check --train "$work/short.csv" --test $field
expect_status "fewer than 20 rows" 1
expect "fewer than 20 rows" err "20"
check --train "$work/short.csv" --test $field --lang ja
expect "fewer than 20 rows, ja" err "少なくとも 20 行"
{ head -n 200 $data/en_train.csv; printf '9,"unclosed\n'; } >"$work/broken.csv"
check --train "$work/broken.csv" --test $field
expect_status "malformed row" 0
grep -q '"line": 201' "$work/report/result.json" && pass || fail "a malformed row is counted"
check --train "$work/broken.csv" --test $field --strict
expect_status "malformed row, --strict" 1
expect "malformed row, --strict" err "201"
awk -F, -v OFS=, 'NR == 1 || $3 == "positive" || /,positive$/' $data/en_train.csv >"$work/one.csv"
check --train "$work/one.csv" --test $field
expect_status "one class only" 0
grep -q '"train_to_test": {' "$work/report/result.json" && pass || fail "one class: result.json"
printf 'PK' >"$work/cut.gz"
gzip -c $data/en_train.csv | head -c 2000 >"$work/cut.csv.gz"
check --train "$work/cut.csv.gz" --test $field
expect_status "cut-short gz" 1

# .npy with values that are not finite
printf '\223NUMPY\001\000\166\000' >"$work/nan.npy"
printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 1), }" >>"$work/nan.npy"
for i in $(seq 29); do printf '\000\000\200\077' >>"$work/nan.npy"; done
printf '\000\000\300\177' >>"$work/nan.npy"
run "$genchi" detect "$work/nan.npy" "$work/nan.npy"
expect_status "NaN in .npy" 1
expect "NaN in .npy" err "nan.npy"
head -c 150 "$work/nan.npy" >"$work/cut.npy"
run "$genchi" detect "$work/cut.npy" "$work/cut.npy"
expect_status "cut .npy" 1

# models
mkdir "$work/pickle" "$work/empty" "$work/odd"
cat >"$work/pickle/config.json" <<'JSON'
{"model_type": "bert", "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64,
 "vocab_size": 100, "max_position_embeddings": 64, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
JSON
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' a >"$work/pickle/vocab.txt"
echo x >"$work/pickle/pytorch_model.bin"
run "$genchi" model inspect "$work/pickle"
expect_status "pickle" 1
expect "pickle says how to convert" err "safe"
run "$genchi" model inspect "$work/empty"
expect_status "empty model folder" 1
expect "empty model folder" err "config.json"
echo '{"model_type": "retnet"}' >"$work/odd/config.json"
run "$genchi" model inspect "$work/odd"
expect_status "unknown architecture" 1
expect "unknown architecture" err "retnet"
run "$genchi" check --train $data/en_train.csv --test $field --model no-such-model --quiet
expect_status "no such model" 1
expect "no such model" err "no-such-model"
run "$genchi" model inspect builtin:nothing
expect_status "no such built-in" 2
expect "no such built-in" err "builtin:char-ngram"

# output: a file in the way, a folder that cannot be made; the old report stays
check --train $data/en_train.csv --test $field
expect_status "a good report" 0
cp "$work/report/report.html" "$work/good.html"
echo x >"$work/file"
run "$genchi" check --train $data/en_train.csv --test $field --model builtin:char-ngram --out "$work/file/report" --quiet
expect_status "output folder cannot be made" 1
(
    trap '' XFSZ
    ulimit -f 8
    "$genchi" check --train $data/en_train.csv --test $field --model builtin:char-ngram --out "$work/report" \
        --quiet 2>"$work/err"
) && status=0 || status=$?
: >"$work/out"
expect_status "output full" 1
expect "output full" err "report"
if cmp -s "$work/report/report.html" "$work/good.html"; then pass; else fail "a failed run changed the report"; fi
if ls "$work/report" | grep -q tmp; then fail "a failed run left temporaries"; else pass; fi
run sh -c "\"$genchi\" --help >/dev/full"
expect_status "full standard output" 1

# a text of 10 MB
{ cat $data/en_train.csv; printf '90001,"'; head -c 10485760 /dev/zero | tr '\0' 'x'; printf '",positive\n'; } >"$work/big.csv"
check --train "$work/big.csv" --test $field
expect_status "a text of 10 MB" 0

# Ctrl-C: stops within a second and says so
i=0
{ echo text; while [ $i -lt 4000 ]; do echo "line $i of many lines that keep the machine busy for a while"; i=$((i + 1)); done; } >"$work/many.csv"
sed 's/many/some other/' "$work/many.csv" >"$work/others.csv"
"$genchi" check --train "$work/many.csv" --test "$work/others.csv" --keep-duplicates --model builtin:char-ngram \
    --permutations 100000 --out "$work/stopped" >"$work/out" 2>"$work/err" &
pid=$!
sleep 1.5
kill -INT $pid 2>/dev/null
start=$(date +%s%N)
status=0
wait $pid || status=$?
took=$((($(date +%s%N) - start) / 1000000))
if [ $took -le 1500 ]; then pass; else fail "Ctrl-C took $took ms"; fi
expect "Ctrl-C says so" err "stopped"
if [ "$status" -ne 0 ]; then pass; else fail "Ctrl-C: the run ended as if whole"; fi
if [ -e "$work/stopped/report.html" ]; then fail "Ctrl-C left a report"; else pass; fi
finish
