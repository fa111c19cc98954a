# The completions and the manual know the same options as the command.
. tests/lib.sh

commands="check see detect probe embed report model compare finetune cache tokenize"

# what bash offers for the words typed so far, one a line
offered() {
    bash --norc -c '. completion/genchi.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _genchi
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

for c in $commands; do
    offered genchi "$c" -- | sort >"$work/$c.offered"
done
cat "$work"/*.offered | sort -u >"$work/options"

# an option is offered where the command takes it, and nowhere else
value() {
    case $1 in
    *format) echo csv ;;
    *encoding) echo utf-8 ;;
    *header) echo yes ;;
    --lang) echo en ;;
    --pooling) echo mean ;;
    --dtype) echo float32 ;;
    --bandwidth) echo isj ;;
    --statistic) echo energy ;;
    --offsets) echo bytes ;;
    --output-type) echo float16 ;;
    --time-limit | --threads | --seed | --max-length | --permutations | --folds | --seeds | --epochs | --batch | \
        --lora-rank | --last-k | --heldout | --max-train | --mix-rows) echo 20 ;;
    --rate | --lora-rate | --lora-alpha | --worthwhile) echo 0.001 ;;
    --schedule) echo cosine ;;
    --class-weights) echo balanced ;;
    --memory) echo 2G ;;
    --alpha | --kernel-tolerance | --dropout) echo 0.1 ;;
    --tolerance) echo 0.7 ;;
    --help | --version | --quiet | --no-color | --json | --gate | --strict | --keep-duplicates | --hide-texts | \
        --merge | --restart | --insecure-http | --all-tests | --fine-tune) ;;
    *) echo x ;;
    esac
}
while read -r option; do
    for c in $commands; do
        # shellcheck disable=SC2046  # no word for a flag
        run "$genchi" "$c" "$option" $(value "$option") --help
        if grep -qxF -e "$option" "$work/$c.offered"; then wanted=0; else wanted=2; fi
        expect_status "bash: $c $option" "$wanted"
    done
    case $option in
    --train-labels | --test-labels | --train-on) ;;
    --train-* | --test-*) continue ;; # the manual and the zsh file name the pattern
    esac
    if grep -qE -e "Fl ${option#-}( |\$)" man/genchi.1; then pass; else fail "manual: no $option"; fi
    if grep -qF -e "${option}[" -e "${option}=[" -e ",$option}'[" -e "--\${1}${option#--}=[" completion/_genchi; then pass; else
        fail "zsh: no $option"
    fi
done <"$work/options"

# no option of the command is unknown to the completion: the long options in its table of options
sed -n 's/^    {"\([a-z-]*\)", CLI_.*/--\1/p' src/cli/options.c | sort >"$work/table"
run sh -c "comm -23 '$work/table' '$work/options'"
expect_status "options of the table" 0
if [ -s "$work/table" ] && [ ! -s "$work/out" ]; then pass; else fail "not completed"; fi

run offered genchi ""
for c in $commands; do expect "subcommands" out "$c"; done
run offered genchi check --pooling m
expect "values" out "mean"
expect_not "values" out "cls"
run offered genchi check --dtype = b
expect "value after =" out "bfloat16"
run offered genchi model ""
expect "verb" out "inspect"
run offered genchi check --model built
expect "built-in model" out "builtin:char-ngram"
run offered genchi detect examples/data/en_t
expect "files" out "examples/data/en_train.csv"

if command -v zsh >/dev/null 2>&1; then
    run zsh -n completion/_genchi
    expect_status "zsh syntax" 0
fi
finish
