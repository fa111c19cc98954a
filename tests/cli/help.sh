# Help, version, and wrong command lines.
. tests/lib.sh

# columns of a terminal: ASCII one, East Asian wide characters two
widest() {
    LC_ALL=C.UTF-8 wc -L <"$1"
}

for lang in en ja; do
    for command in "" check see detect probe embed report model compare finetune cache tokenize; do
        # shellcheck disable=SC2086  # no word where there is no command
        run "$genchi" $command --help --lang "$lang"
        expect_status "help $command $lang" 0
        expect "help $command $lang" out "genchi "
        lines=$(wc -l <"$work/out")
        if [ "$lines" -le 24 ] && [ "$(widest "$work/out")" -le 80 ]; then pass; else
            fail "help $command $lang: $lines lines, $(widest "$work/out") columns do not fit a screen"
        fi
        if grep -qE '^(Example|例)' "$work/out"; then pass; else fail "help $command $lang: no example"; fi
    done
done

run "$genchi" --version
expect_status version 0
expect version out "genchi 0."
run "$genchi"
expect_status "no command" 2
run "$genchi" chekc
expect_status "unknown command" 2
expect "unknown command" err 'unknown command "chekc"'
run "$genchi" check --tarin x
expect_status "unknown option" 2
expect "unknown option" err "--tarin"
run "$genchi" check --train
expect_status "option without value" 2
expect "option without value" err "--train"
run "$genchi" check --quiet=yes
expect_status "flag with value" 2
run "$genchi" check --train x
expect_status "missing option" 2
expect "missing option" err "--test"
run "$genchi" check --train x --test y
expect_status "missing model" 2
expect "missing model" err "--model"
run "$genchi" check --train x --test y --model m --pooling median
expect_status "bad choice" 2
expect "bad choice" err "mean, cls, last, max"
run "$genchi" check --train x --test y --model m --alpha 7
expect_status "bad number" 2
expect "bad number" err "--alpha"
run "$genchi" embed --gate
expect_status "option of another command" 2
expect "option of another command" err "--gate"
run "$genchi" report a b
expect_status "too many operands" 2
run "$genchi" chekc --lang ja
expect_status "unknown command, ja" 2
LC_ALL=ja_JP.UTF-8 run "$genchi" check --train x
expect "Japanese by locale" err "必要です"
run env LC_ALL= LC_MESSAGES= LANG=ja_JP.UTF-8 "$genchi" check --train x
expect "Japanese by LANG" err "必要です"
finish
