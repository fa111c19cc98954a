#!/bin/sh
# Installs the Debian packages named in the given lists (files, one package a line, # comments) and on the
# command line, if any is missing; asks apt for nothing otherwise.
set -eu

wanted=
for a in "$@"; do
    if [ -f "$a" ]; then
        wanted="$wanted $(grep -v '^#' "$a" | tr '\n' ' ')"
    else
        wanted="$wanted $a"
    fi
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "Not a Debian system; these packages (or their like) are needed:$wanted"
    exit 0
fi

missing=
for p in $wanted; do
    case $(dpkg-query -W -f='${Status}' "$p" 2>/dev/null || true) in
    *' installed') ;;
    *) missing="$missing $p" ;;
    esac
done
if [ -z "$missing" ]; then
    echo "Debian packages: all there."
    exit 0
fi

echo "Debian packages to install:$missing"
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "Run as root, or install sudo, or install these packages yourself." >&2
        exit 1
    }
    sudo=sudo
fi
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086  # a list of words
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
