# A kernel with nf_tables and without ip_tables: the script finds nft and it works, also after IPTABLES_MODE demanded
# legacy, which fails in one line and leaves the links alone.
# packages: iptables k3s-scripts busybox coreutils
# kernel: nft
# not native user: this machine's kernel may have ip_tables
# variants: found node forced forced_nft
#> done
names='iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore'
# lead_to TARGET: all six names do.
lead_to() {
    for name in $names; do
        [ "$(readlink copy/aux/$name)" = "$1" ] || fail "$name leads to $(readlink copy/aux/$name), not to $1"
    done
}
xtables_copy
if [ -e /proc/net/ip_tables_names ] || modprobe ip_tables 2>/dev/null; then fail 'the kernel has ip_tables'; fi

case $variant in
    node)
        # A distribution may have iptables-legacy on PATH that its kernel no longer serves.
        mkdir node
        printf '#!/bin/sh\necho "iptables v1.8.9 (legacy)"\n' >node/iptables
        chmod 755 node/iptables
        PATH=$PATH:$PWD/node
        ;;
    forced)
        for name in $names; do
            case $name in ip6*) part=ip6_tables ;; *) part=ip_tables ;; esac
            code=0
            IPTABLES_MODE=legacy "$name" </dev/null >stdout 2>stderr || code=$?
            [ "$code" = 3 ] || fail "$name exited with $code"
            said="$name: IPTABLES_MODE is legacy, but this kernel has no $part and cannot load it"
            [ "$(cat stdout stderr)" = "$said" ] || fail "$name said: $(cat stdout stderr)"
            lead_to iptables-detect.sh
        done
        ;;
    forced_nft) export IPTABLES_MODE=nft ;;
esac
case $variant in
    forced_nft) how='env (IPTABLES_MODE)' ;;
    *) how='kernel (has nf_tables)' ;;
esac
[ "$(iptables-detect.sh)" = "mode is nft detected via $how" ] || fail "$(iptables-detect.sh), not via $how"
lead_to iptables-detect.sh
# The first call may only load nf_tables; a later one sets the links.
iptables -S >/dev/null
iptables -t nat -N KUBE-X
iptables -t nat -A KUBE-X -p tcp -m comment --comment x -j MASQUERADE --random-fully
ip6tables-restore --noflush <<EOF
*filter
:KUBE-Y - [0:0]
-A KUBE-Y -m conntrack --ctstate ESTABLISHED -j ACCEPT
COMMIT
EOF
lead_to xtables-nft-multi
iptables-nft -t nat -S KUBE-X | grep -F -e --random-fully
ip6tables-save | grep -F KUBE-Y
echo 'done'
