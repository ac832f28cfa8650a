# packages: iproute2
#> inet 192.0.2.1/24
#> 198.51.100.0/24 dev lo
#> ip utility, iproute2-
ip link set lo up
ip addr add 192.0.2.1/24 dev lo
ip -oneline addr show dev lo | grep -o 'inet 192.0.2.1/24'
ip route add 198.51.100.0/24 dev lo
ip route show 198.51.100.0/24
ip -V
