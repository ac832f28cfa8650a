# packages: nftables
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> tcp dport 6443 counter packets 0 bytes 0 accept
#> elements = { 192.0.2.1, 192.0.2.7 }
#> "nftables"
#> from a file
needs 'tables for nft' nft add table inet t
nft add chain inet t c '{ type filter hook input priority 0; }'
nft add rule inet t c tcp dport 6443 counter accept
nft add set inet t s '{ type ipv4_addr; }'
nft add element inet t s '{ 192.0.2.1, 192.0.2.7 }'
nft list chain inet t c
nft list set inet t s
nft -j list tables
nft list ruleset >saved
nft flush ruleset
nft list ruleset >left
[ ! -s left ] || fail 'rules are left'
nft -f saved
nft list ruleset | cmp - saved
echo 'from a file'
