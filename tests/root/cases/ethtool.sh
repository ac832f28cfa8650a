# packages: ethtool busybox
# ways: native booted
#> Link detected: yes
#> ethtool version
busybox ip link set lo up
ethtool lo
ethtool --version
