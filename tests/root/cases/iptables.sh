# Rules with every extension that K3s, kube-proxy, flannel and kube-router use: added, checked, listed, saved, flushed
# and restored; and packets that they count.
# packages: iptables busybox coreutils
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
# variants: nft legacy nft6 legacy6
#> saved and restored
#> 2 packets
#> redirected
#> rejected 1
mode=${variant%6}
case $variant in
    *6)
        ipt=ip6tables-$mode family=ipv6 icmp=icmp6-port-unreachable
        localhost=::1 tcp=tcp6 server='[::1]' pod='[2001:db8::7]:80'
        ;;
    *)
        ipt=iptables-$mode family=ipv4 icmp=icmp-port-unreachable
        localhost=127.0.0.1 tcp=tcp server=127.0.0.1 pod=192.0.2.7:80
        ;;
esac
case $mode in nft) back_end='(nf_tables)' ;; *) back_end='(legacy)' ;; esac
case $($ipt --version) in *"$back_end") ;; *) fail "not $back_end: $($ipt --version)" ;; esac
needs "$mode tables for $family" $ipt -S

# rule TABLE CHAIN TEXT ARGUMENT...: adds a rule, checks for it and finds TEXT where it is listed.
rule() {
    table=$1 chain=$2 text=$3
    shift 3
    part "$text" $ipt -t "$table" -A "$chain" "$@" || return 0
    $ipt -t "$table" -C "$chain" "$@"
    $ipt -t "$table" -S "$chain" | tail -n 1 | grep -F -e "$text"
}

$ipt -N KUBE-X
rule filter INPUT '--comment "kube rule"' -m comment --comment 'kube rule' -j KUBE-X
rule filter INPUT '--ctstate NEW' -m conntrack --ctstate NEW -j KUBE-X
rule filter FORWARD '--ctstate RELATED,ESTABLISHED' -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
rule filter KUBE-X '--mark 0x4000/0x4000' -m mark --mark 0x4000/0x4000 -j ACCEPT
rule filter KUBE-X '--dports 80,443' -p tcp -m multiport --dports 80,443 -j RETURN
rule filter KUBE-X "--reject-with $icmp" -p udp -j REJECT --reject-with $icmp
rule filter KUBE-X '--reject-with tcp-reset' -p tcp -j REJECT --reject-with tcp-reset
rule filter KUBE-X '--dst-type LOCAL' -m addrtype --dst-type LOCAL -j RETURN
rule filter KUBE-X '--probability 0.5' -m statistic --mode random --probability 0.5 -j RETURN
rule filter KUBE-X '--every 3' -m statistic --mode nth --every 3 --packet 0 -j RETURN
rule filter KUBE-X '--rcheck --seconds 10800 --reap' -m recent --name KUBE-SEP --rcheck --seconds 10800 --reap -j RETURN
rule filter KUBE-X '--limit 10/min' -m limit --limit 10/min -j RETURN
rule filter KUBE-X '--nflog-group 100' -j NFLOG --nflog-group 100
rule filter KUBE-X '--log-prefix "dropped: "' -j LOG --log-prefix 'dropped: '
rule filter FORWARD '--physdev-is-bridged' -m physdev --physdev-is-bridged -j KUBE-X
rule nat POSTROUTING '-j MASQUERADE --random-fully' -m mark ! --mark 0x4000/0x4000 -j MASQUERADE --random-fully
rule nat PREROUTING "--to-destination $pod" -p tcp --dport 30000 -j DNAT --to-destination $pod
rule nat PREROUTING '--to-ports 3128' -p tcp --dport 30001 -j REDIRECT --to-ports 3128
rule mangle PREROUTING '--on-port 3000' -p tcp --dport 80 \
    -j TPROXY --on-port 3000 --on-ip $localhost --tproxy-mark 0x1/0x1
rule mangle PREROUTING '--set-xmark 0x4000/0x4000' -j MARK --set-xmark 0x4000/0x4000
rule mangle FORWARD '--clamp-mss-to-pmtu' -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
rule raw PREROUTING '--notrack' -p udp --dport 53 -j CT --notrack

# saved FILE: all the rules, without what differs from one time to the next.
saved() {
    $ipt-save | grep -v '^#' | sed 's/\[[0-9:]*\]//' >"$1"
}
$ipt-save >rules
saved before
for table in filter nat mangle raw; do
    needs "table $table" $ipt -t $table -F
done
$ipt -X
$ipt-save >left
! grep '^-A' left || fail 'rules are left'
$ipt-restore <rules
saved after
cmp before after
# kube-proxy's way: only the chains that it names are replaced.
printf '*filter\n:KUBE-X - [0:0]\n-A KUBE-X -j ACCEPT\nCOMMIT\n' | $ipt-restore -w 5 --noflush --counters
[ "$($ipt -S KUBE-X | grep -c '^-A')" = 1 ]
$ipt -S INPUT | grep -q KUBE-X
echo 'saved and restored'

for table in filter nat mangle raw; do $ipt -t $table -F; done
$ipt -A INPUT -p tcp -m comment --comment counted
busybox ip link set lo up
# Nobody listens: one packet asks and one refuses, and both come in.
busybox wget -q -O - http://$server:9/ 2>refused && fail 'somebody answers'
$ipt -L INPUT -v -x -n | awk '/counted/ { print $1, "packets" }'

# What is sent to one port comes to a server at another, until that refuses.
cat >server <<'END'
#!/bin/sh
while read -r line && [ "${#line}" -gt 1 ]; do :; done
printf 'HTTP/1.0 200 OK\r\n\r\nredirected\n'
END
echo "8080 stream $tcp nowait root $(command -v busybox) busybox sh $PWD/server" >inetd.conf
inetd -f inetd.conf &
inetd=$!
trap 'kill $inetd' EXIT
until busybox wget -q -O direct http://$server:8080/ 2>not-yet; do sleep 0.1; done
if part 'redirection' $ipt -t nat -A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 8080; then
    busybox wget -q -O - http://$server:81/
    $ipt -t nat -F OUTPUT
else
    cat direct
fi
needs 'rejection' $ipt -A INPUT -p tcp --dport 8080 -j REJECT --reject-with tcp-reset
busybox wget -q -O - http://$server:8080/ 2>refused && fail 'it was not rejected'
$ipt -L INPUT -v -x -n | awk '/reject-with tcp-reset/ { print "rejected", $1 }'
