# genchi tokenize: one JSON line a text.
. tests/lib.sh

model=tests/golden/text/bert_uncased
printf 'The pump\n"q" caf\303\251\n' >"$work/a.txt"
run "$genchi" tokenize --model $model "$work/a.txt" --format text
expect_status "tokenize" 0
expect "tokenize" out '"tokens":["[CLS]","the","pum","##p","[SEP]"],"offsets":[[0,0],[0,3],[4,7],[7,8],[0,0]]}'
expect "escapes" out '"tokens":["[CLS]","\""'
if [ "$(wc -l <"$work/out")" -eq 2 ]; then pass; else fail "one line a text"; fi
run "$genchi" tokenize --model $model "$work/a.txt" --format text --max-length 3
expect_status "cut" 0
expect "cut" out '"tokens":["[CLS]","the","[SEP]"]'
run "$genchi" tokenize --model $model
expect_status "no file" 2
expect "no file" err "needs a file"
run "$genchi" tokenize "$work/a.txt"
expect_status "no model" 2
expect "no model" err "--model"
run "$genchi" tokenize --model $model "$work/a.txt" b
expect_status "two files" 2
run "$genchi" tokenize --model "$work" "$work/a.txt"
expect_status "no tokenizer" 1
expect "no tokenizer" err "holds no tokenizer"
finish
