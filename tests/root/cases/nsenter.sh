# What is set up here is not there, in a network namespace beside.
# packages: util-linux busybox
# packages when booted: iproute2
#> here 1
#> there 0
busybox ip link set lo up
apart sleep 60
echo "here $(busybox ip link show lo | grep -c ,UP)"
echo "there $(nsenter --target "$apart" --net busybox ip link show lo | grep -c ,UP)"
nsenter --target "$apart" --net --mount true
