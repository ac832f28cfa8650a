# A rule is another one if its interfaces are others: -C says so, and -D leaves it.
# packages: iptables busybox
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
# variants: nft legacy nft6 legacy6 arp
#> all told apart
case $variant in
    nft | legacy) ipt=iptables-$variant ;;
    nft6 | legacy6) ipt=ip6tables-${variant%6} ;;
    arp) ipt=arptables-nft ;;
esac
needs "tables for $ipt" $ipt -N T

# told_apart TABLE RULE OTHER...: RULE is found and each of the OTHERs is not, nor is RULE where OTHER is.
told_apart() {
    table=$1 rule=$2
    shift 2
    for other in "$@"; do
        # shellcheck disable=SC2086 # a rule is many words
        for pair in "$rule|$other" "$other|$rule"; do
            there=${pair%|*} asked=${pair#*|}
            part "$there" $ipt -t "$table" -A T $there || return 0
            $ipt -t "$table" -S T >before
            $ipt -t "$table" -C T $there || fail "$ipt: not found: $there"
            if $ipt -t "$table" -C T $asked 2>said; then fail "$ipt -C T $asked: found in: $there"; fi
            if $ipt -t "$table" -D T $asked 2>said; then fail "$ipt -D T $asked: deleted: $there"; fi
            $ipt -t "$table" -S T | cmp - before
            $ipt -t "$table" -D T $there
            $ipt -t "$table" -S T >after
            if grep -e '^-A' after; then fail "$ipt: not deleted: $there"; fi
        done
    done
}

told_apart filter '-i lo ! -o lo -j ACCEPT' '-i abc ! -o abc -j ACCEPT' '-i lo -o lo -j ACCEPT' \
    '-i lo ! -o abc -j ACCEPT' '-i abc ! -o lo -j ACCEPT' '! -i lo ! -o lo -j ACCEPT' '! -o lo -j ACCEPT' '-j ACCEPT'
told_apart filter '-i eth0 -j ACCEPT' '-i eth1 -j ACCEPT' '-i eth -j ACCEPT' '-i eth00 -j ACCEPT' '-i eth+ -j ACCEPT' \
    '-i eth0+ -j ACCEPT' '! -i eth0 -j ACCEPT' '-o eth0 -j ACCEPT' '-j ACCEPT'
told_apart filter '-o eth0 -j ACCEPT' '-o eth1 -j ACCEPT' '! -o eth0 -j ACCEPT' '-j ACCEPT'
told_apart filter '-i eth+ -j ACCEPT' '-i wlan+ -j ACCEPT' '-i eth -j ACCEPT' '-i et+ -j ACCEPT' '-i eth0+ -j ACCEPT'
told_apart filter '-o eth+ -j ACCEPT' '-o wlan+ -j ACCEPT' '-j ACCEPT'
# As long as names can be: 15 bytes.
told_apart filter '-i abcdefghijklmn0 -j ACCEPT' '-i abcdefghijklmn1 -j ACCEPT' '-i abcdefghijklmn+ -j ACCEPT'
case $variant in
    arp) ;;
    *)
        needs 'nat table' $ipt -t nat -N T
        told_apart nat '-o eth0 -j MASQUERADE' '-o eth1 -j MASQUERADE' '-o eth+ -j MASQUERADE' \
            '! -o eth0 -j MASQUERADE' '-j MASQUERADE'
        told_apart nat '-o eth+ -j MASQUERADE' '-o wlan+ -j MASQUERADE'
        told_apart nat '-i eth0 -p tcp --dport 80 -j RETURN' '-i eth1 -p tcp --dport 80 -j RETURN' \
            '-p tcp --dport 80 -j RETURN'
        ;;
esac
echo 'all told apart'
