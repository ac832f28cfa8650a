#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# iptables-detect.sh: which of the kernel's two packet filters does this node use, nft or legacy?
#
# Rules written through the one are not seen through the other, so whoever writes rules on a node has to use the one
# that the node's own rules are in. The six names iptables, ip6tables, and both with -save and -restore, are links to
# this script at first. Called by one of them it finds the mode, has xtables-set-mode.sh point all six at the binary of
# that mode, and becomes that binary; from then on the script is not called again. Called by its own name it changes
# nothing and prints the mode and what it was found by.
#
# IPTABLES_MODE=nft|legacy in the environment decides; without it the first of these that knows:
#   hint     the chain KUBE-IPTABLES-HINT, which the kubelet makes for this very purpose (Kubernetes 1.24 or later)
#   canary   the chain KUBE-KUBELET-CANARY, which it makes to notice flushes (1.17 or later)
#   rules    one filter has more rules than the other
#   node     the iptables that the node itself has on PATH, if the kernel has or can load the filter it uses
#   kernel   one filter is there or can be loaded; nft, if both are
#   default  nft
#
# Links are set only where the mode works: its part of the kernel is in memory. A part that can only be loaded is loaded
# by the command, and a later call sets the links. A mode that IPTABLES_MODE demands and the kernel does not have is an
# error (exit code 3, as iptables has it), and the links stay as they are. Once links are set, nobody reads IPTABLES_MODE.
#
# Looking loads no kernel module: a loaded ip_tables or nf_tables misleads other programs that look for the mode. All
# the tools it needs are grep, readlink and those of xtables-set-mode.sh, and without them it still does its work. Nor
# does it need /bin/sh: any shell that is told to run it does the whole work.

set -u

# Where the kernel tells about itself. (The tests put other folders here.)
proc=/proc
sys=/sys
modules=/lib/modules

newline='
'
mode=      # nft or legacy, when found
how=       # what it was found by
forced=    # not empty: by IPTABLES_MODE
blind=     # not empty: there may be rules that we are not allowed to see
nft_there= # not empty: nf_tables is in memory

# tool COMMAND...: runs one of the tarball's own tools, or else one from PATH or the usual places. PATH itself stays as
# it is, for the program that we become.
tool() {
    tools="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
    if [ -x "$here/../busybox" ]; then tools="$here/..:$tools"; fi
    PATH=$tools "$@"
}

# saved MODE PROGRAM [ARGUMENT...]: prints the rules of a mode. Never reads stdin: that belongs to the caller's command.
saved() {
    multi=$here/xtables-$1-multi
    shift
    "$multi" "$@" </dev/null 2>/dev/null
}

# in_memory MODULE SYMBOL: is this part of the kernel loaded, or built in? What is built in is not seen by lsmod, nor as
# a rule in /sys/module, but its symbols are there. The exit code is grep's: 1 for no, more if there is no telling.
in_memory() {
    [ -d "$sys/module/$1" ] || tool grep -qF " $2" "$proc/kallsyms" 2>/dev/null
}

# loadable MODULE: does the node have this as a module for the running kernel?
loadable() {
    read -r release 2>/dev/null <"$proc/sys/kernel/osrelease" &&
        tool grep -q "/$1\.ko" "$modules/$release/modules.dep" 2>/dev/null
}

# Only a kernel whose symbols cannot be read is asked itself, as asking would load nf_tables.
nf_tables_is_there() {
    in_memory nf_tables nft_register_expr
    case $? in
        0) return 0 ;;
        1) return 1 ;;
    esac
    saved nft iptables-save >/dev/null
}

# legacy_is_there [FAMILY]: is ip_tables (or ip6_tables, for the family ip6) in memory?
legacy_is_there() {
    [ -e "$proc/net/${1-ip}_tables_names" ]
}

# can_be MODE: is the mode's part of the kernel in memory, or a module that the node has?
can_be() {
    case $1 in
        nft) [ "$nft_there" ] || loadable nf_tables ;;
        legacy) legacy_is_there || loadable ip_tables ;;
    esac
}

# Is the part of the kernel that the mode uses in memory?
mode_is_there() {
    case $mode in
        nft) [ "$nft_there" ] || nf_tables_is_there ;;
        legacy) legacy_is_there ;;
    esac
}

# mode_works FAMILY: a part that is not in memory is asked for, which loads it, as the command itself would.
mode_works() {
    case $mode in
        nft) nf_tables_is_there || saved nft "$1tables-save" >/dev/null ;;
        legacy) legacy_is_there "$1" || saved legacy "$1tables" -w 10 -S >/dev/null ;;
    esac
}

# kernel_part FAMILY: prints the name of it.
kernel_part() {
    case $mode in
        nft) echo nf_tables ;;
        legacy) echo "${1}_tables" ;;
    esac
}

# Legacy rules of both families. They are read only where a table exists already, and without -t: naming a table makes
# it.
legacy_rules() {
    for family in ip ip6; do
        tables=$proc/net/${family}_tables_names
        if [ -r "$tables" ] && read -r _ <"$tables"; then
            saved legacy "${family}tables-save"
        fi
    done
}

# choose MODE HOW
choose() {
    mode=$1
    how=$2
}

by_environment() {
    case ${IPTABLES_MODE-} in
        nft | legacy)
            forced=yes
            choose "$IPTABLES_MODE" 'env (IPTABLES_MODE)'
            ;;
        '') return 1 ;;
        *)
            echo "${0##*/}: IPTABLES_MODE is '$IPTABLES_MODE', must be nft or legacy" >&2
            exit 2
            ;;
    esac
}

# by_chain HOW CHAIN: looks into nft first, where most nodes have their rules.
by_chain() {
    case $newline$nft_mangle in
        *"$newline:$2 "*) choose nft "$1 ($2 is in nft)" && return ;;
    esac
    case $newline$legacy_all in
        *"$newline:$2 "*) choose legacy "$1 ($2 is in legacy)" && return ;;
    esac
    return 1
}

# count_rules RULES: prints how many. The shell's own loop, as the counting must not depend on a tool.
count_rules() (
    set -f
    IFS=$newline
    count=0
    for line in $1; do
        case $line in
            -A*) count=$((count + 1)) ;;
        esac
    done
    echo "$count"
)

by_rules() {
    nft_all=
    if [ "$nft_there" ]; then
        nft_all=$(saved nft iptables-save) || blind=yes
        nft_all=$nft_all$newline$(saved nft ip6tables-save)
    fi
    in_nft=$(count_rules "$nft_all")
    in_legacy=$(count_rules "$legacy_all")
    if [ "$in_nft" -gt "$in_legacy" ]; then
        choose nft "rules ($in_nft in nft, $in_legacy in legacy)"
    elif [ "$in_legacy" -gt "$in_nft" ]; then
        choose legacy "rules ($in_legacy in legacy, $in_nft in nft)"
    else
        return 1
    fi
}

# Prints the path of the first iptables on PATH that is not a K3s tarball's, be it by a link from elsewhere.
iptables_of_node() (
    set -f
    IFS=:
    for folder in ${PATH-}; do
        program=$folder/iptables
        case $program in
            /*) [ -x "$program" ] || continue ;;
            *) continue ;;
        esac
        target=$(tool readlink -f "$program" 2>/dev/null) || target=$program
        if ! [ -e "${target%/*}/iptables-detect.sh" ]; then
            printf '%s\n' "$program"
            return
        fi
    done
    return 1
)

by_node() {
    program=$(iptables_of_node) || return
    # Should it be a script that calls us after all, the variable makes us fail at once instead of asking it again.
    version=$(IPTABLES_DETECT_ASKS=node "$program" --version </dev/null 2>/dev/null) || return
    case $version in
        *'(nf_tables)'*) uses=nft ;;
        # Before 1.8 there was nothing but legacy, and no need to say so.
        *'(legacy)'* | 'iptables v1.'[0-7].*) uses=legacy ;;
        *) return 1 ;;
    esac
    # It may be a leftover: since 6.17, kernels need not have ip_tables, whatever the distribution's iptables is.
    can_be "$uses" && choose "$uses" "node ($program is $version)"
}

# nft takes two parts: without nft_compat, iptables can write no rule with an extension into nf_tables.
by_kernel() {
    if can_be nft &&
        { in_memory nft_compat nft_target_select_ops || loadable nft_compat; }; then
        choose nft 'kernel (has nf_tables)'
    elif can_be legacy; then
        choose legacy 'kernel (has ip_tables, no usable nf_tables)'
    else
        return 1
    fi
}

find_mode() {
    by_environment && return

    nft_mangle=
    if nf_tables_is_there; then
        nft_there=yes
        # The kubelet's chains are in the mangle table, which is short even where there are very many rules.
        nft_mangle=$(saved nft iptables-save -t mangle)$newline$(saved nft ip6tables-save -t mangle)
    fi
    if legacy_is_there && ! [ -r "$proc/net/ip_tables_names" ]; then blind=yes; fi
    legacy_all=$(legacy_rules)

    by_chain hint KUBE-IPTABLES-HINT ||
        by_chain canary KUBE-KUBELET-CANARY ||
        by_rules ||
        by_node ||
        by_kernel ||
        choose nft 'default (nothing tells)'
}

if [ "${IPTABLES_DETECT_ASKS-}" ]; then
    echo "${0##*/}: called by itself (IPTABLES_DETECT_ASKS is set)" >&2
    exit 1
fi

# The folder that this script is in, also where a link from elsewhere leads to it.
case $0 in
    */*) here=$(CDPATH='' cd -P -- "${0%/*}/" && pwd -P) ;;
    *) here=$PWD ;;
esac
if ! [ -e "$here/xtables-set-mode.sh" ]; then
    target=$(tool readlink -f "$0") && here=${target%/*}
fi

# A subshell runs the script, as there may be no /bin/sh to run it by its first line. It does not matter if the links
# cannot be set, on a read-only file system say: the next call finds the mode again.
set_links() (
    set -- -k -m "$mode"
    # shellcheck source=/dev/null
    . "$here/xtables-set-mode.sh"
) </dev/null >/dev/null 2>&1

case ${0##*/} in
    iptables | iptables-save | iptables-restore) family=ip ;;
    ip6tables | ip6tables-save | ip6tables-restore) family=ip6 ;;
    *)
        if [ $# -ne 0 ]; then
            echo "usage: ${0##*/}    (prints the iptables mode of this node; IPTABLES_MODE=nft|legacy forces it)" >&2
            exit 2
        fi
        find_mode
        printf 'mode is %s detected via %s\n' "$mode" "$how"
        if [ "$forced" ] && ! mode_is_there && ! can_be "$mode"; then
            echo "${0##*/}: this kernel seems to have no $(kernel_part ip)" >&2
        fi
        exit 0
        ;;
esac

find_mode
if [ "$forced" ] && ! mode_works "$family"; then
    echo "${0##*/}: IPTABLES_MODE is $mode, but this kernel has no $(kernel_part "$family") and cannot load it" >&2
    exit 3
fi
# What was decided without seeing all the rules is good for this call only.
if [ -z "$blind" ] && mode_is_there; then set_links; fi
exec "$here/xtables-$mode-multi" "${0##*/}" "$@"
