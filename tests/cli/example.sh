# The example program, built against the public headers and the shared library alone.
. tests/lib.sh

run "$build/example"
expect_status "example, made-up samples" 0
expect "example, made-up samples" out "shift: different"
run "$build/example" examples/data/en_train.csv examples/data/en_field.csv builtin:char-ngram
expect_status "example, whole check" 0
expect "example, whole check" out "verdict: "
run "$build/example" nothing.csv nothing.csv builtin:char-ngram
expect_status "example, missing file" 1
expect "example, missing file" err "nothing.csv"
finish
