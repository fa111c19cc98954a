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
# café – pump: what Python's library gives is characters
printf 'caf\303\251 \342\200\223 pump\n' >"$work/b.txt"
run "$genchi" tokenize --model $model "$work/b.txt" --format text
expect "characters" out '"offsets":[[0,0],[0,4],[5,6],[7,10],[10,11],[0,0]]}'
run "$genchi" tokenize --model $model "$work/b.txt" --format text --offsets chars
expect "characters, asked for" out '[7,10],[10,11],[0,0]]}'
run "$genchi" tokenize --model $model "$work/b.txt" --format text --offsets bytes
expect "bytes" out '"offsets":[[0,0],[0,5],[6,9],[10,13],[13,14],[0,0]]}'
# byte-level tokens within a character have the whole of it
printf '\360\237\230\200x\n' >"$work/c.txt"
run "$genchi" tokenize --model tests/golden/text/gpt2 "$work/c.txt" --format text
expect "characters, byte-level" out '"offsets":[[0,1],[0,1],[0,1],[0,1],[1,2]]}'
run "$genchi" tokenize --model tests/golden/text/gpt2 "$work/c.txt" --format text --offsets bytes
expect "bytes, byte-level" out '"offsets":[[0,4],[0,4],[0,4],[0,4],[4,5]]}'
run "$genchi" tokenize --model $model "$work/b.txt" --offsets words
expect_status "offsets of what" 2
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
