#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# xtables-set-mode.sh -m nft|legacy: points the six iptables names in this script's folder at the binary of a mode.
# Each link is replaced in one step, so that a program called meanwhile finds the old one or the new one, never none.
# Exit code: 0 all six are set, 1 they could not be, 2 wrong arguments.

set -u

usage='usage: xtables-set-mode.sh -m nft|legacy'
names='iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore'

# fail CODE MESSAGE
fail() {
    echo "xtables-set-mode.sh: $2" >&2
    exit "$1"
}

mode=
while getopts :m:h option; do
    case $option in
        m) mode=$OPTARG ;;
        h)
            echo "$usage"
            echo "Points these names, beside this script, at xtables-nft-multi or xtables-legacy-multi: $names"
            exit
            ;;
        :) fail 2 "-$OPTARG needs a value; $usage" ;;
        *) fail 2 "unknown option -$OPTARG; $usage" ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -ne 0 ]; then fail 2 "unexpected argument '$1'; $usage"; fi
case $mode in
    nft | legacy) ;;
    '') fail 2 "no mode given; $usage" ;;
    *) fail 2 "unknown mode '$mode'; $usage" ;;
esac
binary=xtables-$mode-multi

# PATH may hold no tools at all. The tarball's own, where they are in the folder above, come first.
case $0 in
    */*) here=$(CDPATH='' cd -P -- "${0%/*}/" && pwd -P) ;;
    *) here=$PWD ;;
esac
PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
if [ -x "$here/../busybox" ]; then PATH="$here/..:$PATH"; fi
if ! [ -e "$here/iptables-detect.sh" ]; then
    target=$(readlink -f "$0") && here=${target%/*}
fi
cd "$here" || exit 1
if ! [ -x "$binary" ]; then fail 1 "there is no $binary in $here"; fi

temporary=
trap 'if [ "$temporary" ]; then rm -f "$temporary"; fi' EXIT
trap 'exit 1' HUP INT TERM

for name in $names; do
    temporary=.$name.$$
    if ! { ln -sf "$binary" "$temporary" && mv -f "$temporary" "$name"; }; then
        fail 1 "cannot set $here/$name"
    fi
    echo "$name -> $binary"
done
