# The script finds the mode of a node's rules, re-links the names and does what was asked; then the names are programs.
# packages: iptables k3s-scripts busybox coreutils
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
# variants: nft legacy hint forced forced_nft empty
#> done
xtables_copy
needs 'nft tables' iptables-nft -S
case $variant in
    legacy | hint | forced_nft) needs 'legacy tables' iptables-legacy -A INPUT -j ACCEPT ;;
    forced) needs 'legacy tables' iptables-legacy -S ;;
esac
# Whichever name is called first, what was asked of it is done.
mode=nft family='' first='iptables -N KUBE-X'
case $variant in
    nft)
        how='rules (1 in nft, 0 in legacy)'
        iptables-nft -A INPUT -j ACCEPT
        ;;
    legacy)
        mode=legacy how='rules (1 in legacy, 0 in nft)' family=6 first='ip6tables -N KUBE-X'
        needs 'legacy tables for ipv6' ip6tables-legacy -S
        ;;
    hint)
        how='hint (KUBE-IPTABLES-HINT is in nft)' first='iptables-restore --noflush'
        iptables-nft -t mangle -N KUBE-IPTABLES-HINT
        ;;
    forced)
        mode=legacy how='env (IPTABLES_MODE)'
        iptables-nft -A INPUT -j ACCEPT
        export IPTABLES_MODE=legacy
        ;;
    forced_nft)
        how='env (IPTABLES_MODE)'
        export IPTABLES_MODE=nft
        ;;
    empty)
        how='kernel (has nf_tables)'
        [ "$strict" ] || grep -q nft_target_select_ops /proc/kallsyms || skip 'the kernel does not tell of nft_compat'
        ;;
esac
[ "$(iptables-detect.sh)" = "mode is $mode detected via $how" ] || fail "$(iptables-detect.sh), not via $how"
[ "$(readlink copy/aux/iptables)" = iptables-detect.sh ]
printf '*filter\n:KUBE-X - [0:0]\nCOMMIT\n' | $first
ip${family}tables-$mode -S | grep -x -e '-N KUBE-X'
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    [ "$(readlink copy/aux/$name)" = xtables-$mode-multi ] || fail "$name leads to $(readlink copy/aux/$name)"
done
case $mode in nft) back_end='(nf_tables)' ;; *) back_end='(legacy)' ;; esac
case $(iptables --version) in *"$back_end") ;; *) fail "not $back_end: $(iptables --version)" ;; esac
iptables-save >rules
iptables-restore <rules
# And back, as an administrator may.
xtables-set-mode.sh -m nft
case $(iptables --version) in *'(nf_tables)') ;; *) fail 'the mode was not set' ;; esac
echo 'done'
