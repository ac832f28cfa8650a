# Where there is no /bin/sh, a shell that is told to run the script finds the mode, sets the links and runs the command.
# packages: iptables k3s-scripts busybox coreutils
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> -P INPUT ACCEPT
#> xtables-nft-multi
needs 'nft tables' iptables-nft -S
mkdir jail jail/dev jail/proc
cp -a "$(dirname "$(command -v busybox)")" jail/bin
# Nor the link of that name that the root has.
rm -f jail/bin/sh
busybox mount -o rbind /dev jail/dev
busybox mount -t proc proc jail/proc
IPTABLES_MODE=nft chroot jail /bin/busybox sh /bin/aux/iptables -S
readlink jail/bin/aux/iptables
for name in iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    [ "$(readlink "jail/bin/aux/$name")" = xtables-nft-multi ] || fail "$name leads elsewhere"
done
