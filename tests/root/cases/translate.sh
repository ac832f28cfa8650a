# packages: iptables
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> tcp dport { 80, 443 } counter accept comment
needs 'nft tables' iptables-nft -S
iptables-translate -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment x -j ACCEPT
