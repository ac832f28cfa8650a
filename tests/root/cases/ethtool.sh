# packages: ethtool busybox
# not user: qemu-user does not translate what ethtool asks of the kernel
#> Link detected: yes
#> ethtool version
busybox ip link set lo up
ethtool lo
ethtool --version
