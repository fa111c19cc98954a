# bfloat16 and int8 lead to the verdict of float32 on the example data, with the reasons that decide in the same order.
# Needs the demo's model (scripts/fetch-demo-model.sh, or GENCHI_TEST_MODEL).
model=${GENCHI_TEST_MODEL:-${XDG_CACHE_HOME:-$HOME/.cache}/genchi/models/all-MiniLM-L6-v2}
. tests/lib.sh

if [ ! -f "$model/model.safetensors" ]; then
    skip "verdicts by type: the demo's model is not there"
    finish
    exit $?
fi
for lang in en ja; do
    for type in float32 bfloat16 int8; do
        run "$genchi" check --train "examples/data/${lang}_train.csv" --test "examples/data/${lang}_field.csv" \
            --test-group customer --model "$model" --dtype $type --cache off --quiet --out "$work/$lang-$type"
        if [ "$status" -ne 0 ]; then fail "check $lang $type"; fi
        # the verdict's code, and every reason's name and stance
        sed -n '/^  "verdict"/,/^  "data"/p' "$work/$lang-$type/result.json" |
            grep -E '"(code|rule|gate_passes|id|stance)"' >"$work/$lang-$type.verdict"
        if grep -q '"code"' "$work/$lang-$type.verdict"; then pass; else fail "$lang $type: no verdict"; fi
        if cmp -s "$work/$lang-float32.verdict" "$work/$lang-$type.verdict"; then pass; else
            diff "$work/$lang-float32.verdict" "$work/$lang-$type.verdict" >"$work/out"
            fail "$lang: the verdict by $type is not that of float32"
        fi
    done
done
finish
