# bash completion for genchi(1). Needs nothing beside bash 4.4.
# shellcheck disable=SC2207  # candidates hold no white space; file names are split at newlines only

_genchi()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    # bash splits --option=value at the equals sign
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi

    local columns='text label id group format encoding header' c
    local common='--help --version --lang --threads --seed --quiet --no-color'
    local model='--pooling --prompt --dtype --max-length --model-name --insecure-http --time-limit'
    local reads="--out --preset --label-map --drop-label --group-alone --strict $model"
    for c in $columns; do reads+=" --$c"; done
    local one="--model"
    local steps="$reads --cache --json --keep-duplicates --hide-texts --train-labels --test-labels"
    for c in $columns; do steps+=" --train-$c --test-$c"; done

    local trains='--train --test --train-on --seeds --epochs --batch --rate --lora-rate --lora-rank --last-k'
    trains+=' --lora-alpha --lora-targets --schedule --dropout --class-weights'
    trains+=' --heldout --max-train --mix-rows --worthwhile --memory --checkpoint --save --save-method --save-on'

    # the subcommand is the first word
    local command=
    (( COMP_CWORD > 1 )) && command=${COMP_WORDS[1]}

    COMPREPLY=()
    case $prev in
    --lang) COMPREPLY=($(compgen -W 'en ja' -- "$cur")); return ;;
    --format | --train-format | --test-format)
        COMPREPLY=($(compgen -W 'auto csv tsv jsonl text' -- "$cur")); return ;;
    --encoding | --train-encoding | --test-encoding)
        COMPREPLY=($(compgen -W 'auto utf-8 latin-1 cp932 euc-jp' -- "$cur")); return ;;
    --header | --train-header | --test-header)
        COMPREPLY=($(compgen -W 'auto yes no' -- "$cur")); return ;;
    --pooling) COMPREPLY=($(compgen -W 'auto mean cls last max weighted-mean mean-sqrt' -- "$cur")); return ;;
    --output-type) COMPREPLY=($(compgen -W 'float32 float16 bfloat16' -- "$cur")); return ;;
    --dtype) COMPREPLY=($(compgen -W 'auto float32 bfloat16 int8' -- "$cur")); return ;;
    --offsets) COMPREPLY=($(compgen -W 'chars bytes' -- "$cur")); return ;;
    --statistic) COMPREPLY=($(compgen -W 'auto mmd-exact mmd-rff mmd-fuse mmd-agg energy sliced-wasserstein ks c2st' -- "$cur")); return ;;
    --bandwidth) COMPREPLY=($(compgen -W 'isj silverman' -- "$cur")); return ;;
    --preset) COMPREPLY=($(compgen -W 'sentiment140' -- "$cur")); return ;;
    --methods | --fine-tune | --save-method) COMPREPLY=($(compgen -W 'lp full lora lp-ft last-k' -- "$cur")); return ;;
    --train-on | --save-on) COMPREPLY=($(compgen -W 'train test mix' -- "$cur")); return ;;
    --lora-targets) COMPREPLY=($(compgen -W 'query key value out mlp' -- "$cur")); return ;;
    --schedule) COMPREPLY=($(compgen -W 'linear cosine constant' -- "$cur")); return ;;
    --class-weights) COMPREPLY=($(compgen -W 'none balanced' -- "$cur")); return ;;
    --checkpoint | --save) _genchi_directories "$cur"; return ;;
    --model | --models) _genchi_model "$cur"; return ;;
    --train | --test | --input | --train-labels | --test-labels) _genchi_files "$cur"; return ;;
    --out)
        if [[ $command == embed ]]; then _genchi_files "$cur"; else _genchi_directories "$cur"; fi
        return ;;
    --cache) COMPREPLY=($(compgen -W off -- "$cur")); _genchi_more_directories "$cur"; return ;;
    --seeds | --epochs | --batch | --rate | --lora-rate | --lora-rank | --lora-alpha | --dropout | --last-k | --heldout | --max-train | --mix-rows | \
        --worthwhile | --memory | --shard | --threads | --seed | --max-length | --prompt | --model-name | --time-limit | --alpha | --tolerance | --permutations | --folds | --text | \
        --label | --id | --group | --train-text | --train-label | --train-id | --train-group | \
        --test-text | --test-label | --test-id | --test-group | --label-map | --drop-label | --group-alone)
        return ;; # a number, a column or a value that only the user knows
    esac

    local options
    case $command in
    '')
        COMPREPLY=($(compgen -W "check see detect probe embed report model compare finetune cache tokenize $common" -- "$cur"))
        return ;;
    check) options="--fine-tune $trains --gate --alpha --tolerance --permutations --folds --statistic --bandwidth $one $steps" ;;
    finetune) options="--methods --folds $trains $one $steps" ;;
    compare) options="--models --train --test --alpha --tolerance --permutations --folds --bandwidth $steps" ;;
    see) options="--bandwidth $one $steps" ;;
    detect) options="--alpha --tolerance --permutations --folds --statistic --all-tests --kernel-tolerance $one $steps" ;;
    probe) options="--folds $one $steps" ;;
    embed) options="--input --output-type --shard --merge --restart $one $reads" ;;
    report) options='--out --json' ;;
    model) options="--json $model" ;;
    cache) options='--json --cache' ;;
    tokenize) options="--model --max-length --offsets --preset --strict"
        for c in $columns; do options+=" --$c"; done ;;
    *) options= ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options $common" -- "$cur"))
        return
    fi

    case $command in
    see | detect | probe | report | embed | tokenize) _genchi_files "$cur" ;;
    cache) (( COMP_CWORD == 2 )) && COMPREPLY=($(compgen -W 'list clear verify limit' -- "$cur")) ;;
    model)
        if (( COMP_CWORD == 2 )); then
            COMPREPLY=($(compgen -W 'inspect pull verify' -- "$cur"))
        else
            _genchi_model "$cur"
        fi ;;
    esac
}

_genchi_files()
{
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$1"))
}

_genchi_directories()
{
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -d -- "$1"))
}

_genchi_more_directories()
{
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -d -- "$1"))
}

# A directory, or the built-in model. A colon ends a word in bash, so "builtin:" is completed as one word only
# up to the colon; what follows it is completed alone.
_genchi_model()
{
    if [[ $1 == : || ${COMP_WORDS[COMP_CWORD-1]} == : ]]; then
        COMPREPLY=($(compgen -W 'char-ngram' -- "${1#:}"))
        return
    fi
    _genchi_directories "$1"
    [[ builtin:char-ngram == "$1"* ]] && COMPREPLY+=(builtin:char-ngram)
}

complete -F _genchi genchi
