#!/bin/sh
# Installs into a scratch folder and uses the result as a user would: the command, pkg-config, the example
# program against the installed headers and library, and the list of exported names.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
prefix=$root/usr
make --no-print-directory install PREFIX="$prefix" >/dev/null
"$prefix/bin/genchi" --version | grep -q '^genchi [0-9]'
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # words
cc -o "$root/example" examples/c/example.c $(pkg-config --cflags --libs genchi)
LD_LIBRARY_PATH=$prefix/lib "$root/example" >/dev/null
# only public names leave the shared library
odd=$(nm -D --defined-only "$prefix/lib/libgenchi.so" | awk '$3 !~ /^gn_[a-z]/ {print $3}')
if [ -n "$odd" ]; then
    echo "exported beside the public names: $odd"
    exit 1
fi
man -l "$prefix/share/man/man1/genchi.1" >/dev/null 2>&1 || test -s "$prefix/share/man/man1/genchi.1"
make --no-print-directory uninstall PREFIX="$prefix" >/dev/null
left=$(find "$prefix" -type f | head -n 3)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
echo "install: as it should be"
