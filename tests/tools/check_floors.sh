#!/bin/sh
# Holds the includes against ARCHITECTURE.md: a floor includes only floors below it, the command line only
# the public headers.
set -eu
floor() {
    case $1 in
    core) echo 0 ;; tensor) echo 1 ;; data | hub | store | text) echo 2 ;; model) echo 3 ;;
    see | detect | verify) echo 4 ;; decide) echo 5 ;; pipeline | report) echo 6 ;; cli) echo 7 ;;
    *) echo -1 ;;
    esac
}
bad=0
for file in src/*/*.[ch]; do
    from=$(echo "$file" | cut -d/ -f2)
    for to in $(sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$file" | sort -u); do
        [ "$to" = "$from" ] || [ "$to" = genchi ] && continue
        if [ "$from" = cli ] || [ "$(floor "$to")" -lt 0 ] || [ "$(floor "$to")" -ge "$(floor "$from")" ]; then
            echo "$file includes $to/: not a floor below $from/"
            bad=1
        fi
    done
done
exit $bad
