# packages: busybox
# not native user: it would load modules into this machine's kernel
# needs: root
#> dummy
#> gone
#> by its alias
modprobe dummy
lsmod | grep -o '^dummy'
modprobe -r dummy
lsmod | grep '^dummy' || echo gone
busybox modprobe rtnl-link-dummy
lsmod | grep -q '^dummy' && echo 'by its alias'
