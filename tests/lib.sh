# Sourced by the command-line tests: a scratch folder, `run`, and the checks. Each test file ends with `finish`.
build=${1:?usage: test.sh BUILD}
genchi=$build/genchi
passed=0 failed=0 skipped=0
LC_ALL=C.UTF-8
export LC_ALL
work=$(mktemp -d)
XDG_CACHE_HOME=$work/xdg-cache # never the user's
export XDG_CACHE_HOME
trap 'rm -rf "$work"' EXIT

run() { # command ...: keeps status, $work/out and $work/err
    status=0
    "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
}

pass() { passed=$((passed + 1)); }
fail() { # what
    failed=$((failed + 1))
    echo "FAIL $1 (status $status)"
    sed 's/^/    out: /' "$work/out" | head -n 15
    sed 's/^/    err: /' "$work/err" | head -n 15
}
expect_status() { # name, status
    if [ "$status" -eq "$2" ]; then pass; else fail "$1: expected status $2"; fi
}
expect() { # name, out|err, words that must be there
    if grep -qF -- "$3" "$work/$2"; then pass; else fail "$1: $2 lacks \"$3\""; fi
}
expect_not() { # name, out|err, words that must not be there
    if grep -qF -- "$3" "$work/$2"; then fail "$1: $2 has \"$3\""; else pass; fi
}
expect_file() { # name, path
    if [ -s "$2" ]; then pass; else fail "$1: no file $2"; fi
}
skip() { # why
    skipped=$((skipped + 1))
    echo "skip $1"
}
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
