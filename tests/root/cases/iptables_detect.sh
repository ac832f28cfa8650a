# The script finds the mode of a node's rules, re-links the names and does what was asked; then the names are programs.
# packages: iptables k3s-scripts busybox coreutils
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
# variants: nft legacy hint forced empty
#> done
xtables_copy
case $variant in
    nft | empty | hint) mode=nft back_end='(nf_tables)' ;;
    *) mode=legacy back_end='(legacy)' ;;
esac
case $variant in
    legacy | hint)
        needs 'legacy tables' iptables-legacy -A INPUT -j ACCEPT
        ;;
esac
case $variant in
    nft) iptables-nft -A INPUT -j ACCEPT ;;
    hint) iptables-nft -t mangle -N KUBE-IPTABLES-HINT ;;
    forced)
        needs 'legacy tables' iptables-legacy -S
        iptables-nft -A INPUT -j ACCEPT
        export IPTABLES_MODE=legacy
        ;;
esac
iptables-detect.sh
[ "$(readlink copy/aux/iptables)" = iptables-detect.sh ]
case $(iptables --version) in *"$back_end") ;; *) fail "not $back_end: $(iptables --version)" ;; esac
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    [ "$(readlink copy/aux/$name)" = xtables-$mode-multi ] || fail "$name leads to $(readlink copy/aux/$name)"
done
iptables -N KUBE-X
iptables-save >rules
iptables-restore <rules
iptables-$mode -S | grep -x -e '-N KUBE-X'
# And back, as an administrator may.
xtables-set-mode.sh -m nft
case $(iptables --version) in *'(nf_tables)') ;; *) fail 'the mode was not set' ;; esac
echo 'done'
