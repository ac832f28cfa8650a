# The names of protocols that /etc/protocols has on other systems: read, printed and read again.
# packages: ipset nftables iproute2 iptables conntrack-tools
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> ipproto sctp
#> all protocols of ip rule
#> all protocols of iptables
ip rule add ipproto sctp table main
ip rule show | grep -o 'ipproto sctp'
# Numbers, and the names that they are listed by.
while read -r number name; do
    ip rule add ipproto "$number" lookup 100
    ip rule show | grep -qw "ipproto $name lookup 100" || fail "ip rule does not list $number as $name"
    ip rule del ipproto "$name" lookup 100 || fail "ip rule does not read $name"
done <<END
1 icmp
6 tcp
9 igp
17 udp
33 dccp
41 ipv6
47 gre
50 esp
51 ah
88 eigrp
93 ax.25
97 etherip
103 pim
108 ipcomp
112 vrrp
115 l2tp
124 isis
132 sctp
133 fc
135 mobility-header
136 udplite
137 mpls-in-ip
138 manet
139 hip
140 shim6
141 wesp
142 rohc
143 ethernet
END
# Second names.
for name in SCTP UDPLite Mobility-Header IPSEC-ESP CPHB; do
    ip rule add ipproto "$name" lookup 101 || fail "ip rule does not read $name"
done
ip rule show | grep -q 'ipproto mobility-header lookup 101' || fail 'a second name is listed'
echo 'all protocols of ip rule'

for mode in legacy nft; do
    part "$mode tables" iptables-$mode -S >before || continue
    for name in sctp dccp udplite vrrp l2tp ipcomp pim ospf; do
        iptables-$mode -A INPUT -p "$name" -j ACCEPT || fail "iptables-$mode does not read $name"
        # -S has numbers for what iptables itself has no name for.
        iptables-$mode -L INPUT | grep -qE "^ACCEPT +$name " || fail "iptables-$mode does not list $name"
        iptables-$mode -D INPUT -p "$name" -j ACCEPT
    done
    ip6tables-$mode -A INPUT -p mobility-header -j ACCEPT
    ip6tables-$mode -S INPUT | grep -qF -e '-p mobility-header' || ip6tables-$mode -S INPUT | grep -qF -e '-p ipv6-mh' ||
        fail "ip6tables-$mode does not list mobility-header"
done
echo 'all protocols of iptables'

# As kube-proxy does.
if part 'ip sets' ipset create s hash:ip,port; then
    for name in sctp udplite SCTP; do ipset add s "192.0.2.1,$name:80" -exist; done
    ipset save s >saved
    grep -xF 'add s 192.0.2.1,sctp:80' saved || fail "ipset does not list sctp: $(cat saved)"
    grep -xF 'add s 192.0.2.1,udplite:80' saved || fail "ipset does not list udplite: $(cat saved)"
    ipset destroy s
    ipset restore <saved
fi

if part 'tables for nft' nft add table inet t; then
    nft add chain inet t c
    nft add rule inet t c meta l4proto '{ 33, 132, 136 }' accept
    nft add rule inet t c ip protocol vrrp accept
    nft list table inet t >listed
    grep -F 'meta l4proto { dccp, sctp, udplite } accept' listed || fail "nft does not list names: $(cat listed)"
    grep -F 'ip protocol vrrp accept' listed || fail "nft does not list vrrp: $(cat listed)"
    nft delete table inet t
    nft -f listed
fi

if part 'list of connections' conntrack -L 2>said; then
    for name in sctp udplite vrrp ipcomp; do conntrack -L -p "$name"; done
fi
