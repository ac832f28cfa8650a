# packages: iptables
# ways: native booted
#> tcp dport { 80, 443 } counter accept comment
iptables-translate -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment x -j ACCEPT
