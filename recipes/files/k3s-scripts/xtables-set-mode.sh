#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# xtables-set-mode.sh [-k] -m nft|legacy: points the six iptables names in this script's folder at the binary of a mode.
# Each link is replaced in one step, so that a program called meanwhile finds the old one or the new one, never none.
# Calls at the same time agree in the end: the first of the names decides for all six. With -k a mode that is set
# already is kept, and links that an interrupted call left are set to it.
# Exit code: 0 all six are set, 1 they could not be, or are set to the other mode, 2 wrong arguments.
#
# iptables-detect.sh runs this in a shell of its own, by its own name.

set -u

usage='usage: xtables-set-mode.sh [-k] -m nft|legacy'
names='iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore'

# fail CODE MESSAGE
fail() {
    echo "xtables-set-mode.sh: $2" >&2
    exit "$1"
}

mode=
keep=
OPTIND=1
while getopts :km:h option; do
    case $option in
        k) keep=yes ;;
        m) mode=$OPTARG ;;
        h)
            echo "$usage"
            echo "Points these names, beside this script, at xtables-nft-multi or xtables-legacy-multi: $names"
            echo "-k: keep a mode that is set already"
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

# Follows the first name, if that leads to one of the two binaries.
follow_first() {
    case $(readlink iptables) in
        xtables-nft-multi) binary=xtables-nft-multi ;;
        xtables-legacy-multi) binary=xtables-legacy-multi ;;
    esac
}

# Sets the names that lead elsewhere; is true if none did.
all_lead_there() {
    changed=
    for name in $names; do
        if [ "$(readlink "$name")" = "$binary" ]; then continue; fi
        changed=yes
        temporary=.$name.$$
        if ! { ln -sf "$binary" "$temporary" && mv -f "$temporary" "$name"; }; then
            fail 1 "cannot set $here/$name"
        fi
    done
    [ -z "$changed" ]
}

if [ "$keep" ]; then follow_first; fi
# Whoever changes a link looks at all six again, so that the last one to change anything leaves them equal.
tries=0
until all_lead_there; do
    tries=$((tries + 1))
    if [ $tries -gt 20 ]; then fail 1 "others change the links in $here all the time"; fi
    follow_first
done

for name in $names; do echo "$name -> $binary"; done
if [ "$binary" != "xtables-$mode-multi" ]; then fail 1 "another call has set the mode to $binary"; fi
