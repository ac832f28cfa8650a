# What kube-proxy asks for: the elements of its sets and maps as JSON, as they were added; and what older nft died of.
# packages: nftables busybox
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> {"elem": {"val": {"concat": ["10.43.0.1", "tcp", 443]}, "comment": "default/k:https"}}, {"goto": {"target": "service-ABC"}}
#> {"concat": ["10.43.0.10", "udp", 53]}, {"goto": {"target": "service-DEF"}}
#> {"concat": ["10.43.0.1", "tcp", 80]}, {"drop": null}
#> {"elem": {"val": "10.43.0.1", "comment": "x"}}
#> {"concat": ["10.42.0.7", "10.43.0.1", "tcp", 443]}
#> [80, {"jump": {"target": "service-ABC"}}]
#> {"elem": {"val": "10.42.0.9", "expires":
#> typeof jhash
#> end
needs 'tables for nft' nft add table ip kube-proxy
cat >rules <<'END'
add chain ip kube-proxy service-ABC
add chain ip kube-proxy service-DEF
add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; comment "ClusterIP" ; }
add map ip kube-proxy no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip kube-proxy service-nodeports { type inet_service : verdict ; }
add set ip kube-proxy cluster-ips { type ipv4_addr ; }
add set ip kube-proxy hairpin-connections { type ipv4_addr . ipv4_addr . inet_proto . inet_service ; }
add set ip kube-proxy affinity-ABC { type ipv4_addr ; flags dynamic,timeout ; timeout 10800s ; }
add element ip kube-proxy service-ips { 10.43.0.1 . tcp . 443 comment "default/k:https" : goto service-ABC }
add element ip kube-proxy service-ips { 10.43.0.10 . udp . 53 : goto service-DEF }
add element ip kube-proxy no-endpoint-services { 10.43.0.1 . tcp . 80 : drop }
add element ip kube-proxy service-nodeports { 80 : jump service-ABC }
add element ip kube-proxy cluster-ips { 10.43.0.1 comment "x" }
add element ip kube-proxy hairpin-connections { 10.42.0.7 . 10.43.0.1 . tcp . 443 }
add element ip kube-proxy affinity-ABC { 10.42.0.9 }
END
nft -f rules
# An element a line: their order is the kernel's.
elements() {
    nft -j list "$1" ip kube-proxy "$2" | sed 's/.*"elem": \[//'
}
for element in 443 53; do
    elements map service-ips | sed "s/\]\], *\[/]\n/g; s/\}\], \[/}]\n[/g" | grep -F ", $element]"
done
elements map no-endpoint-services
elements set cluster-ips
elements set hairpin-connections
elements map service-nodeports
elements set affinity-ABC
# What is said of an element takes that element away.
element='10.43.0.1 . tcp . 443 comment "default/k:https" : goto service-ABC'
nft delete element ip kube-proxy service-ips "{ $element }"
if nft get element ip kube-proxy service-ips '{ 10.43.0.1 . tcp . 443 }' 2>said; then fail 'it is still there'; fi
# Linux has it since 6.13. An older one has to say so: nft itself must not end.
if nft add rule ip kube-proxy service-ABC meta mark set meta mark '&' 0xff '|' meta skuid 2>said; then
    nft list chain ip kube-proxy service-ABC | grep -F 'meta mark set meta mark & 0x000000ff | meta skuid'
    nft -j list chain ip kube-proxy service-ABC | grep -F '"skuid"'
else
    grep -F 'Operation not supported' said
    echo 'WITHOUT bits of two fields in one'
fi
nft add set ip kube-proxy hashes '{ typeof jhash ip saddr mod 16 ; elements = { 1, 2 } ; }'
nft list set ip kube-proxy hashes
nft -j list ruleset >json
echo end
