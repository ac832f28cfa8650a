# packages: ebtables busybox
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> ebtables v2.0.11
#> -j ACCEPT
ebtables-legacy --version
needs ebtables ebtables-legacy -A FORWARD -p 0x0800 -j ACCEPT
ebtables-legacy -L FORWARD
