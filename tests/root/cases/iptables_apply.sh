# It is a script for bash, which is the node's.
# packages: iptables k3s-scripts busybox coreutils
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
# not booted: the machine has no bash
# needs: /bin/bash
#> my job is done
#> Better play it safe
xtables_copy
needs 'packet filter' iptables -A INPUT -p tcp --dport 22 -j ACCEPT
iptables-save >rules
iptables -F
printf y | iptables-apply -t 20 rules
iptables -C INPUT -p tcp --dport 22 -j ACCEPT
# Without an answer, what was there before comes back.
iptables-save | sed 's/--dport 22/--dport 23/' >other
iptables-apply -t 1 other </dev/null && fail 'applied without an answer'
iptables -C INPUT -p tcp --dport 22 -j ACCEPT
ip6tables-apply --version
