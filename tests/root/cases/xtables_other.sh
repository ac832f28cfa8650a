# The other names of xtables-nft-multi: filters of bridges and of ARP.
# packages: iptables
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> -j ACCEPT
#> -j mark --mark-set 0x1 --mark-target ACCEPT
#> -A INPUT -j ACCEPT
needs 'nft tables' iptables-nft -S
needs 'nft tables of bridges' ebtables-nft -A FORWARD -p 0x0800 -j ACCEPT
ebtables-nft -t nat -A PREROUTING -j mark --set-mark 1
ebtables-nft -L FORWARD
ebtables-nft -t nat -L PREROUTING
needs 'nft tables of ARP' arptables-nft -A INPUT -j ACCEPT
arptables-nft-save
