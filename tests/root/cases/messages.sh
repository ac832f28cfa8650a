# What programs say, in the words of glibc: scripts look for them.
# packages: busybox iproute2 iptables nftables
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> options
#> errors
#> iptables
# says TEXT COMMAND...: the command fails and says that.
says() {
    text=$1
    shift
    if "$@" >said 2>&1; then fail "did not fail: $*"; fi
    grep -qF -e "$text" said || fail "not said by $*: $text; but: $(cat said)"
}
says "grep: unrecognized option '--nix'" busybox grep --nix
says "grep: invalid option -- 'Y'" busybox grep -Y
says "grep: option requires an argument -- 'e'" busybox grep -e
says "unrecognized option '--nix=1'" nft --nix=1
echo options

ln -s loop loop
says 'Too many levels of symbolic links' busybox sed p loop
says 'Network is unreachable' ip route get 203.0.113.1
says 'Unmatched ( or \(' busybox sed -n '/\(/p' /dev/null
says 'Inappropriate ioctl for device' busybox fdflush /dev/null
echo errors

says 'option "-A" requires an argument' iptables-legacy -A
says "Bad argument \`-'" iptables-legacy -A INPUT -
if part 'tables for nft' iptables-nft -S >before; then
    says 'option "-A" requires an argument' iptables-nft -A
    says "Bad argument \`-'" iptables-nft -A INPUT -
fi
# No zeros before, and small letters.
if part 'sets of MAC addresses' ebtables-nft -A FORWARD --among-src 00:AB:05:10:FF:00 -j ACCEPT; then
    ebtables-nft -L FORWARD >listed
    grep -F -e '--among-src 0:ab:5:10:ff:0' listed || fail "ebtables lists: $(cat listed)"
fi
echo iptables
