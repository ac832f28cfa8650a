# packages: ebtables busybox
# ways: native booted
#> ebtables v2.0.11
#> -j ACCEPT
ebtables-legacy --version
needs ebtables ebtables-legacy -A FORWARD -p 0x0800 -j ACCEPT
ebtables-legacy -L FORWARD
