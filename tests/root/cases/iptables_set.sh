# packages: iptables ipset busybox
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
# variants: nft legacy
#> --match-set pods src
#> --match-set ports dst,dst
#> --add-set pods src
#> counted
needs "$variant tables" iptables-$variant -S
needs 'ip sets' ipset create pods hash:ip
ipset create ports hash:ip,port
needs 'match for sets' iptables-$variant -A INPUT -m set --match-set pods src -j ACCEPT
iptables-$variant -A INPUT -m set --match-set ports dst,dst -j DROP
iptables-$variant -A INPUT -j SET --add-set pods src --exist
iptables-$variant -C INPUT -m set --match-set pods src -j ACCEPT
iptables-$variant-save >rules
iptables-$variant -F
iptables-$variant-restore <rules
iptables-$variant -S INPUT
# The first packet is not from the set and puts its sender there; the answer is.
busybox ip link set lo up
iptables-$variant -Z INPUT
busybox ping -c 1 127.0.0.1 >answered
ipset test pods 127.0.0.1
iptables-$variant -L INPUT -v -x -n | awk '/match-set pods src/ && $1 > 0 { print "counted" }'
