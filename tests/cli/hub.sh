# Models by name, from a server, side by side; checkpoints that are not sound; embeddings from elsewhere.
. tests/lib.sh
data=examples/data
unset HF_TOKEN HF_ENDPOINT HF_HUB_OFFLINE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME http_proxy https_proxy all_proxy
unset GENCHI_API_KEY OPENAI_API_KEY HF_HUB_CACHE HF_TOKEN_PATH
HF_HOME=$work/hf
export HF_HOME

# the cache as huggingface_hub lays it out
commit=0123456789abcdef0123456789abcdef01234567
put() { # cache, org--name
    mkdir -p "$1/models--$2/refs" "$1/models--$2/blobs" "$1/models--$2/snapshots/$commit"
    printf %s $commit >"$1/models--$2/refs/main"
    mkdir "$1/models--$2/snapshots/$commit/1_Pooling"
    cp tests/golden/model/bert/1_Pooling/config.json "$1/models--$2/snapshots/$commit/1_Pooling"
    for f in tests/golden/model/bert/*; do
        [ -f "$f" ] && [ "${f##*/}" != expected.safetensors ] || continue
        cp "$f" "$1/models--$2/blobs/$(basename "$f")"
        ln -s "../../blobs/$(basename "$f")" "$1/models--$2/snapshots/$commit/$(basename "$f")"
    done
}
put "$work/hf/hub" org--tiny
put "$work/other" tiny
run "$genchi" model inspect org/tiny
expect_status "a name in the cache" 0
expect "a name in the cache" out "org/tiny"
run "$genchi" model inspect org/tiny@$commit
expect_status "by commit" 0
HF_HUB_CACHE=$work/other run "$genchi" model inspect tiny@main
expect_status "HF_HUB_CACHE" 0
run env -u HF_HOME XDG_CACHE_HOME="$work/xdg" "$genchi" model inspect org/tiny
expect "XDG_CACHE_HOME" err "$work/xdg/huggingface/hub"
run env -u HF_HOME HOME="$work/home" "$genchi" model inspect org/tiny
expect "the default place" err "$work/home/.cache/huggingface/hub"
run "$genchi" model inspect org/absent
expect_status "not in the cache" 1
expect "not in the cache" err "genchi model pull org/absent"
run "$genchi" model inspect org/tiny@v2
expect "another revision" err "genchi model pull org/tiny@v2"
rm "$work/hf/hub/models--org--tiny/blobs/model.safetensors" "$work/hf/hub/models--org--tiny/snapshots/$commit/model.safetensors"
run "$genchi" model inspect org/tiny --lang ja
expect "parts only, ja" err "一部しか"
run "$genchi" embed --model org/absent --input $data/en_train.csv --out "$work/x.npy"
expect "embed by name" err "genchi model pull org/absent"

# pull: what the environment says
HF_HUB_OFFLINE=1 run "$genchi" model pull org/x
expect_status "offline" 1
expect "offline" err "HF_HUB_OFFLINE"
HF_ENDPOINT=http://192.0.2.1 run "$genchi" model pull org/x
expect_status "plain http elsewhere" 2
expect "plain http elsewhere" err "--insecure-http"
HF_ENDPOINT=http://127.0.0.1 run "$genchi" model pull ../x
expect_status "no name" 2
HF_ENDPOINT=http://127.0.0.1 HF_TOKEN="two words" run "$genchi" model pull org/x
expect "a token that is none" err "has a blank"
expect_not "the token is not shown" err "two words"
run "$genchi" model fetch x
expect_status "no such verb" 2
expect "no such verb" err "inspect, pull, verify"

# a server
run "$genchi" model inspect http://127.0.0.1:1/v1
expect_status "no name for the server" 2
expect "no name for the server" err "--model-name"
OPENAI_API_KEY="two words" run "$genchi" model inspect http://127.0.0.1:1/v1 --model-name x?y --max-length 5
expect_not "OpenAI's key does not go elsewhere" err "has a blank"
run "$genchi" model inspect "https://u:secret@127.0.0.1/v1" --model-name x
expect_status "a password in the URL" 2
expect_not "a password in the URL" err "secret"

# verify
run "$genchi" model verify tests/golden/model/bert
expect_status "sound" 0
expect "sound" out "sound"
mkdir "$work/broken"
cp -R tests/golden/model/bert/. "$work/broken"
chmod -R u+w "$work/broken"
size=$(wc -c <"$work/broken/model.safetensors")
printf '\000\000\300\177' | dd of="$work/broken/model.safetensors" bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
run "$genchi" model verify "$work/broken"
expect_status "a NaN" 1
expect "a NaN" out "1 NaN"
expect "a NaN" out "not sound"
run "$genchi" model verify "$work/broken" --json
expect "a NaN, JSON" out '"sound": false'

# compare
run "$genchi" compare --models builtin:char-ngram,tests/golden/model/bert --train $data/en_train.csv \
    --test $data/en_field.csv --permutations 99 --out "$work/compared"
expect_status "compare" 0
expect "compare" out "The better start: "
expect "compare" out "builtin:char-ngram − bert"
expect_file "compare" "$work/compared/compare.json"
expect_file "compare" "$work/compared/compare.html"
expect "compare" out "What genchi check decides with each:"
if grep -q '"rule": "' "$work/compared/compare.json"; then pass; else fail "compare.json has no verdicts"; fi
if grep -q 'src=\|href="http\|url(' "$work/compared/compare.html"; then fail "compare.html needs something from outside"; else pass; fi
expect "compare" out "Train→test"
run "$genchi" compare --models builtin:char-ngram --train $data/ja_train.csv --test $data/ja_field.csv \
    --permutations 99 --lang ja --json
expect_status "compare one, JSON" 0
expect "compare one, JSON" out '"schema": "genchi.compare/1"'
run "$genchi" compare --models builtin:char-ngram,builtin:char-ngram --train $data/en_train.csv --test $data/en_field.csv
expect_status "a model twice" 2
run "$genchi" compare --models org/absent,builtin:char-ngram --train $data/en_train.csv --test $data/en_field.csv
expect "a wrong name" err "genchi model pull org/absent"
run "$genchi" compare --train $data/en_train.csv --test $data/en_field.csv
expect "no models" err "--models"
run "$genchi" compare --models x --train a.npy --test b.npy
expect_status "compare embeddings" 2

# embeddings from elsewhere
run "$genchi" see tests/golden/data/plain.npz tests/golden/data/plain.safetensors
expect_status "too few rows" 1
expect "too few rows" err "plain.npz"
expect "too few rows" err "20"
run "$genchi" detect tests/golden/data/objects.npz tests/golden/data/objects.npz
expect "pickled objects" err "|O"
finish
