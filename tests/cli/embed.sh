# genchi embed: killed and gone on with, in parts and joined, changed in between.
. tests/lib.sh

# rows of every kind: kept, malformed, empty
awk 'BEGIN {
    print "id,text"
    for (i = 1; i <= 24000; i++) {
        if (i % 997 == 0) print i ",one,too many"
        else if (i % 499 == 0) print i ",   "
        else if (i % 3 == 0) printf "%d,\"text %d of, %d\nin two lines\"\n", i, i, i * i % 1009
        else printf "%d,some words and the number %d %d\n", i, i, i % 17
    }
}' >"$work/in.csv"
embed() { # output, options ...
    out=$1
    shift
    run "$genchi" embed --model builtin:char-ngram --input "$work/in.csv" --text text --out "$out" "$@"
}
same() { # name, file, file
    if cmp -s "$2" "$3"; then pass; else fail "$1: $2 and $3 differ"; fi
}

embed "$work/whole.npy"
expect_status "embed" 0
expect "what was left out" err "72 of 24000 records"
expect_file "embed" "$work/whole.npy.json"
if [ "$(wc -l <"$work/whole.npy.left-out.jsonl")" -eq 72 ]; then pass; else fail "left-out.jsonl"; fi
if grep -q '"record":499,.*"empty"' "$work/whole.npy.left-out.jsonl"; then pass; else fail "an empty row is listed"; fi
if grep -q '"record":997,.*"malformed".*"reason"' "$work/whole.npy.left-out.jsonl"; then pass; else
    fail "a malformed row is listed"
fi

# the same bits from a compressed file, a pipe being refused where the texts have to be read twice
gzip -c "$work/in.csv" >"$work/in.csv.gz"
run "$genchi" embed --model builtin:char-ngram --input "$work/in.csv.gz" --text text --out "$work/gz.npy" --threads 3
expect_status "embed .gz" 0
same "embed .gz, other threads" "$work/gz.npy" "$work/whole.npy"
run sh -c "\"$genchi\" embed --model builtin:char-ngram --input - --text text --out \"$work/pipe.npy\" <\"$work/in.csv\""
expect_status "standard input with a model that learns" 2
expect "standard input with a model that learns" err "read twice"

# killed at random moments and gone on with, whole files compared whenever a run gets through;
# GENCHI_TEST_KILLS=50 for the long form
kills=0 finished=0 wanted=${GENCHI_TEST_KILLS:-8}
check_killed() { # a finished killed.npy
    for f in npy npy.json npy.left-out.jsonl; do same "after $kills kills" "$work/killed.$f" "$work/whole.$f"; done
    if ls "$work" | grep -qE 'killed.*(partial|state|tmp)'; then fail "a finished run leaves files"; else pass; fi
    rm -f "$work"/killed.npy*
    finished=$((finished + 1))
}
for ms in $(awk -v n="$((wanted * 4))" 'BEGIN { srand(7); for (i = 0; i < n; i++) print int(5 + 220 * rand()) }'); do
    if [ $kills -ge "$wanted" ]; then break; fi
    "$genchi" embed --model builtin:char-ngram --input "$work/in.csv" --text text --out "$work/killed.npy" \
        --quiet >/dev/null 2>&1 &
    pid=$!
    sleep "$(printf '0.%03d' "$ms")"
    if kill -KILL $pid 2>/dev/null; then kills=$((kills + 1)); fi
    wait $pid 2>/dev/null
    if [ -e "$work/killed.npy" ] && [ ! -e "$work/killed.npy.state" ]; then check_killed; fi
done
: >"$work/out"
if [ $kills -gt 0 ]; then pass; else fail "nothing was killed"; fi
embed "$work/killed.npy"
expect_status "gone on with after $kills kills" 0
check_killed

# an unfinished run, made without chance: the state after two blocks, the data damaged in the second
begin() { # leaves cut.npy.state and cut.npy.partial with two blocks at least
    rm -f "$work"/cut.npy*
    "$genchi" embed --model builtin:char-ngram --input "$work/in.csv" --text text --out "$work/cut.npy" \
        --quiet >/dev/null 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        [ -e "$work/cut.npy.state" ] && lines=$(wc -l 2>/dev/null <"$work/cut.npy.state") || lines=0
        if [ "${lines:-0}" -ge 3 ]; then
            kill -STOP $pid
            if [ -e "$work/cut.npy.state" ] && cp "$work/cut.npy.state" "$work/kept.state" &&
                cp "$work/cut.npy.partial" "$work/kept.partial" 2>/dev/null; then
                kill -KILL $pid
                wait $pid 2>/dev/null
                return 0
            fi
            kill -KILL $pid
        fi
    done
    wait $pid 2>/dev/null
    return 1
}
restore() {
    rm -f "$work"/cut.npy*
    cp "$work/kept.state" "$work/cut.npy.state"
    cp "$work/kept.partial" "$work/cut.npy.partial"
}
tries=0
until begin || [ $tries -ge 8 ]; do tries=$((tries + 1)); done
if [ -s "$work/kept.partial" ]; then
    restore
    embed "$work/cut.npy"
    expect "gone on with" err "rows were there from an earlier run"
    same "gone on with" "$work/cut.npy" "$work/whole.npy"
    restore
    printf 'XX' | dd of="$work/cut.npy.partial" bs=1 seek=300000 conv=notrunc 2>/dev/null
    embed "$work/cut.npy"
    expect_status "a damaged block is made again" 0
    same "a damaged block is made again" "$work/cut.npy" "$work/whole.npy"
    restore
    printf '{"rows":17,"cut' >>"$work/cut.npy.state"
    embed "$work/cut.npy"
    same "half a line of the state" "$work/cut.npy" "$work/whole.npy"
    restore
    embed "$work/cut.npy" --output-type float16
    expect_status "other options" 2
    expect "other options" err 'output_type = "float32", now it is "float16"'
    expect "other options" err "--restart"
    same "a refusal changes nothing" "$work/cut.npy.partial" "$work/kept.partial"
    embed "$work/cut.npy" --output-type float16 --restart
    expect_status "--restart" 0
    cp "$work/in.csv" "$work/kept.csv"
    sed 's/^1,some/1,Some/' "$work/kept.csv" >"$work/in.csv"
    restore
    embed "$work/cut.npy"
    expect_status "another input" 2
    cp "$work/kept.csv" "$work/in.csv"
    restore
    embed "$work/cut.npy" --lang ja --max-length 7 --output-type bfloat16
    expect "refused in Japanese" err "最初からやり直す"
else
    skip "no run could be caught between two blocks"
fi

# two processes on one output
if flock --version >/dev/null 2>&1; then
    : >"$work/locked.npy.state"
    run flock "$work/locked.npy.state" "$genchi" embed --model builtin:char-ngram --input "$work/in.csv" \
        --text text --out "$work/locked.npy"
    expect_status "another process at work" 1
    expect "another process at work" err "another process is writing"
fi

# parts
for i in 1 2 3; do
    embed "$work/part$i.npy" --shard $i/3 --quiet
    expect_status "--shard $i/3" 0
done
run "$genchi" embed --merge --out "$work/joined.npy" "$work/part3.npy" "$work/part1.npy" "$work/part2.npy"
expect_status "--merge" 0
for f in npy npy.json npy.left-out.jsonl; do same "--merge" "$work/joined.$f" "$work/whole.$f"; done
run "$genchi" embed --merge --out "$work/joined2.npy" "$work/part3.npy" "$work/part1.npy"
expect_status "--merge, one missing" 2
expect "--merge, one missing" err "part 3 of 3, but 2 files"
run "$genchi" embed --merge --out "$work/joined2.npy" "$work/part3.npy" "$work/part1.npy" "$work/part3.npy"
expect "--merge, one twice" err "are both part 3"
run "$genchi" embed --merge --out "$work/joined2.npy" "$work/whole.npy"
expect "--merge of a whole" err "without --shard"
run "$genchi" embed --merge --out "$work/joined2.safetensors" "$work/part3.npy" "$work/part1.npy" "$work/part2.npy"
expect "--merge to another format" err "two formats"
printf 'X' | dd of="$work/part2.npy" bs=1 seek=5000 conv=notrunc 2>/dev/null
run "$genchi" embed --merge --out "$work/joined2.npy" "$work/part3.npy" "$work/part1.npy" "$work/part2.npy"
expect_status "--merge, a damaged part" 1
expect "--merge, a damaged part" err "part2.npy"
if [ -e "$work/joined2.npy" ]; then fail "a failed merge leaves a file"; else pass; fi
for bad in 0/3 4/3 3 a/b 1/3x -1/3; do
    embed "$work/bad.npy" --shard=$bad
    expect_status "--shard $bad" 2
done

# formats: .safetensors and .npy hold the same values
embed "$work/half.npy" --output-type float16 --quiet
embed "$work/half.safetensors" --output-type float16 --quiet
expect_status "safetensors" 0
tail -c +129 "$work/half.npy" >"$work/a"
tail -c +257 "$work/half.safetensors" >"$work/b"
same "values of both formats" "$work/a" "$work/b"
head -c 256 "$work/half.safetensors" | tail -c +9 >"$work/out"
expect "safetensors" out '"dtype":"F16","shape":[23928,512]'
embed "$work/brain.npy" --output-type bfloat16 --quiet
head -c 128 "$work/brain.npy" | tr -d '\0' >"$work/out"
expect "bfloat16 in .npy" out "'descr': '<u2'"

# no row, no file
printf 'text\n\n' >"$work/none.csv"
run "$genchi" embed --model builtin:char-ngram --input "$work/none.csv" --text text --out "$work/none.npy"
expect_status "no usable row" 1
if [ -e "$work/none.npy" ]; then fail "no usable row, but a file"; else pass; fi
finish
