# The cache of embeddings, as far as it shows on the command line; tests/unit/test_cache.c has the rest.
. tests/lib.sh
data=examples/data

run "$genchi" cache
expect_status "an empty cache" 0
expect "an empty cache" out "0 B of 4.3 GB used"
run "$genchi" cache limit 500M
expect "limit" out "of 524 MB used"
run "$genchi" cache list --json
expect "list --json" out '"limit": 524288000'
run "$genchi" cache limit 5X
expect_status "bad size" 2
run "$genchi" cache verify
expect_status "verify" 0
expect "verify" out "0 vectors are whole"
run "$genchi" cache clear
expect_status "clear" 0
run "$genchi" cache clear nobody
expect_status "clear, no such model" 2
expect "clear, no such model" err "nobody"
run "$genchi" cache burn
expect_status "unknown verb" 2
run "$genchi" cache list more
expect_status "one argument too many" 2
run env XDG_CACHE_HOME= HOME= "$genchi" cache
expect_status "no place for a cache" 2

# a damaged index: `genchi cache` says what to do; a check does without
mkdir -p "$work/bad"
echo "no database, only words that are long enough to be looked at as one" >"$work/bad/index.sqlite"
run "$genchi" cache --cache "$work/bad"
expect_status "damaged index" 1
expect "damaged index" err "remove that folder"
run "$genchi" detect $data/en_train.csv $data/en_field.csv --model builtin:char-ngram --permutations 19 --cache "$work/bad"
expect_status "damaged index, named" 1
mkdir -p "$work/xdg2/genchi/embeddings"
cp "$work/bad/index.sqlite" "$work/xdg2/genchi/embeddings"
run env XDG_CACHE_HOME="$work/xdg2" "$genchi" detect $data/en_train.csv $data/en_field.csv --model builtin:char-ngram \
    --permutations 19
expect_status "damaged index, by default" 0
expect "damaged index, by default" err "the cache is not used"
run "$genchi" detect $data/en_train.csv $data/en_field.csv --model builtin:char-ngram --permutations 19 --cache off
expect_status "--cache off" 0
if [ -s "$work/err" ]; then fail "--cache off warns"; else pass; fi
finish
