# Our nft reads what Debian's newest wrote, and that reads what ours wrote: as text and as JSON, listed whole and by
# kind, and read back in. A node may have either.
# packages: nftables busybox coreutils
# beside: nft.sh
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
# not booted: its machine has nothing but our root, and so no other nft
# variants: reads read
#> tables read:
needs 'tables for nft' nft add table inet t
other() { "$beside" "$@"; }
# shellcheck disable=SC2209 # names of commands
case $variant in
    reads) writer=other reader=nft ;;
    read) writer=nft reader=other ;;
esac

# pieces: what a listing has in it, in an order that does not depend on the version; metainfo is of the version.
pieces() {
    sed 's/{"metainfo": {[^}]*}}//; s/"expires": [0-9]*/"expires": N/g; s/expires [0-9dhms]*/expires N/g' |
        tr ',{}[]' '\n\n\n\n\n' | sed 's/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d' | sort
}

# listed PROGRAM: all that it says of what is there.
listed() {
    for what in ruleset sets maps flowtables counters; do
        "$1" list "$what" || echo "status $?: list $what"
    done
    for what in ruleset sets maps; do
        "$1" -j list "$what" || echo "status $?: -j list $what"
    done
    for flags in -as -nn; do
        "$1" "$flags" list ruleset || echo "status $?: $flags list ruleset"
    done
}

# table: reads one table, in our syntax, from the standard input.
count=0
table() {
    cat >table
    $writer flush ruleset
    part "$(head -n 2 table | tr -d '\n')" $writer -f table || return 0
    listed "$writer" 2>said | pieces >written
    listed "$reader" 2>said | pieces >listed
    diff written listed || fail "$reader does not list what $writer does: $(cat said table)"
    # What the reader says can be loaded again, and is then what it was.
    $writer -s list ruleset 2>said | pieces >before
    $reader -s list ruleset >text 2>said
    $reader -j list ruleset >json 2>said
    $reader flush ruleset
    $reader -f text
    $writer -s list ruleset 2>said | pieces | diff before - || fail "$reader does not load its own text: $(cat table)"
    count=$((count + 1))
    if grep -q 'text only' table; then return 0; fi
    $reader flush ruleset
    $reader -j -f json || fail "$reader does not load its own JSON: $(cat table)"
}

table <<'END'
table ip t {
    set s {
        type ifname
        elements = { "x" }
    }
}
END
table <<'END'
table inet t {
    set s {
        type ifname
        elements = { "eth0", "lo", "cali+" }
    }
    chain c {
        iifname @s accept
    }
}
END
table <<'END'
table inet t {
    set s {
        type ifname
        flags interval
        elements = { "eth*", "wlan*", "lo" }
    }
    chain c {
        iifname @s counter accept
    }
}
END
table <<'END'
table inet t {
    set s {
        type ifname . ipv4_addr . inet_service
        elements = { "eth0" . 10.0.0.1 . 80, "cni0" . 10.0.0.2 . 443 }
    }
    chain c {
        iifname . ip saddr . tcp dport @s accept
    }
}
END
table <<'END'
table inet t {
    set s {
        typeof iifname . ip saddr
        flags interval
        elements = { "eth0" . 10.0.0.0/8, "x*" . 192.0.2.1-192.0.2.9 }
    }
}
END
table <<'END'
table inet t {
    map m {
        type ifname : verdict
        elements = { "eth0" : accept, "eth1" : drop, "eth2" : jump c2 }
    }
    chain c2 {
    }
    chain c {
        iifname vmap @m
    }
}
END
table <<'END'
table inet t {
    map m {
        typeof ip saddr : meta mark
        elements = { 10.0.0.1 : 0x00000001, 10.0.0.2 : 0x2 }
    }
    chain c {
        meta mark set ip saddr map @m
    }
}
END
table <<'END'
table ip t {
    map m {
        type ipv4_addr . inet_proto . inet_service : verdict
        comment "services"
        elements = { 10.43.0.1 . tcp . 443 comment "default/k:https" : goto svc, 10.43.0.10 . udp . 53 : goto svc }
    }
    chain svc {
        numgen random mod 2 vmap { 0 : goto ep1, 1 : goto ep2 }
    }
    chain ep1 {
        ip saddr 10.42.0.9 jump kmark
        meta l4proto tcp dnat to 10.42.0.9:6443
    }
    chain ep2 {
        dnat to 10.42.0.10
    }
    chain kmark {
        meta mark set meta mark or 0x4000
    }
    chain nat {
        type nat hook prerouting priority dstnat
        policy accept
        ip daddr . meta l4proto . th dport vmap @m
    }
}
END
table <<'END'
table ip t {
    set a {
        type ipv4_addr
        flags dynamic,timeout
        timeout 10800s
        size 65535
    }
    set b {
        type ipv4_addr
        flags timeout
        elements = { 10.0.0.1 timeout 1h expires 59m, 10.0.0.2 timeout 1d2h3m comment "two" }
    }
    chain c {
        ip saddr @a counter
        update @a { ip saddr timeout 3h }
    }
}
END
table <<'END'
table inet t {
    set s {
        type ipv4_addr
        counter
        elements = { 10.0.0.1 counter packets 5 bytes 500, 10.0.0.2 comment "c" }
    }
    set d {
        type ipv4_addr
        flags dynamic
        size 128
        limit rate 10/second burst 5 packets counter
    }
    chain c {
        add @d { ip saddr limit rate 10/second burst 5 packets counter }
    }
}
END
table <<'END'
table inet t {
    flowtable f {
        hook ingress priority filter
        devices = { lo }
        counter
    }
    chain c {
        type filter hook forward priority 0
        ip protocol { tcp, udp } flow add @f
    }
}
END
table <<'END'
table inet t {
    set s {
        type ipv4_addr
        flags interval
        auto-merge
        elements = { 10.0.0.0/8, 192.0.2.1-192.0.2.9, 198.51.100.0/25, 198.51.100.128/25 }
    }
    set s6 {
        type ipv6_addr
        flags interval
        elements = { 2001:db8::/32, ::1 }
    }
}
END
table <<'END'
# text only: upstream cannot read a map to an interval from JSON
table ip t {
    map m {
        type ipv4_addr : ipv4_addr . inet_service
        elements = { 10.0.0.1 : 10.1.0.1 . 80 }
    }
    map i {
        type inet_service : interval ipv4_addr
        flags interval
        elements = { 80 : 10.0.0.1-10.0.0.9 }
    }
    chain c {
        type nat hook prerouting priority -100
        meta l4proto tcp dnat ip to ip daddr map @m
        meta l4proto tcp dnat ip to tcp dport map @i
    }
}
END
table <<'END'
table inet t {
    counter http {
        packets 3 bytes 4
    }
    quota q {
        over 100 mbytes used 3 bytes
    }
    limit l {
        rate 400/hour
    }
    ct helper h {
        type "ftp" protocol tcp
    }
    ct timeout ti {
        protocol tcp
        l3proto ip
        policy = { established : 1m40s, close : 4s }
    }
    ct expectation e {
        protocol tcp
        dport 9876
        timeout 1m
        size 12
        l3proto ip
    }
    synproxy sp {
        mss 1460
        wscale 7
        timestamp sack-perm
    }
    map cm {
        type ipv4_addr : counter
        elements = { 10.0.0.1 : "http" }
    }
    chain c {
        counter name ip saddr map @cm
    }
}
END
table <<'END'
table inet t {
    comment "a table"
    set s {
        typeof meta mark . ct state
        comment "a set"
        elements = { 0x1 . new, 0x2 . established comment "x" }
    }
    chain c {
        comment "a chain"
        type filter hook input priority filter + 1
        policy drop
        meta mark . ct state @s accept comment "a rule"
    }
}
END
table <<'END'
table inet t {
    chain c {
        meta mark set meta mark and 0xff | meta skuid
    }
}
END
table <<'END'
table inet t {
    chain c {
        meta mark set meta mark & 0xff | meta skuid
        ct mark set meta mark
        meta mark set ct mark & 0xffff0000 | 0x1
        meta mark set ip dscp
    }
}
END
table <<'END'
table inet t {
    chain c {
        tcp flags & (syn | fin) == syn | fin drop
        ip saddr . ip daddr vmap { 10.0.0.1 . 10.0.0.2 : accept, 10.0.0.3-10.0.0.5 . 10.0.0.0/8 : drop }
        icmp type { echo-request, echo-reply } limit rate 5/second accept
        icmpv6 type nd-neighbor-solicit accept
        ct state vmap { established : accept, related : accept, invalid : drop }
        fib daddr type local accept
        fib saddr . iif oif missing drop
        ip6 saddr & ffff:ffff:ffff:: == 2001:db8:1:: accept
        log prefix "x: " level warn flags all
        reject with icmpx type port-unreachable
    }
}
END
table <<'END'
table inet t {
    set macs {
        type ether_addr
        elements = { 00:11:22:33:44:55, aa:bb:cc:dd:ee:ff }
    }
    set svc {
        type inet_service
        flags interval
        elements = { 22, 80-90, 1024-65535 }
    }
    set pr {
        type inet_proto
        elements = { tcp, udp, icmp }
    }
    set mk {
        type mark
        elements = { 0x1 }
    }
    set ifx {
        type iface_index
        elements = { "lo" }
    }
    set ctz {
        typeof ct zone
        elements = { 1 }
    }
    chain c {
        ether saddr @macs accept
        meta l4proto @pr accept
    }
}
END
table <<'END'
table bridge t {
    set s {
        typeof vlan id . ether saddr
        elements = { 5 . 00:11:22:33:44:55 }
    }
    chain c {
        type filter hook prerouting priority -300
        vlan id . ether saddr @s accept
    }
}
END
table <<'END'
table arp t {
    chain c {
        type filter hook input priority 0
        arp operation request arp saddr ip 10.0.0.1 accept
    }
}
END
table <<'END'
table netdev t {
    chain c {
        type filter hook ingress device "lo" priority 0
        ip saddr 10.0.0.1 drop
    }
    chain e {
        type filter hook egress devices = { lo } priority 0
    }
}
END
table <<'END'
table ip t {
    set s {
        typeof ip saddr . ip daddr . th dport
        flags interval,timeout
        elements = { 10.0.0.0/8 . 192.0.2.0/24 . 80-90 timeout 1h, 10.1.0.1 . 192.0.2.1 . 53 }
    }
    set bf {
        typeof tcp option maxseg size
        elements = { 1460 }
    }
    set sc {
        typeof sctp chunk init num-inbound-streams
        elements = { 1 }
    }
    set p {
        typeof @ih,32,32
        elements = { 0x1 }
    }
    set nx {
        typeof numgen inc mod 10
        elements = { 1 }
    }
}
END
table <<'END'
table ip t {
    set c {
        type ipv4_addr
        flags constant
        elements = { 10.0.0.1 }
    }
    map k {
        typeof ip daddr . meta l4proto . th dport : ip daddr . th dport
        elements = { 10.0.0.1 . tcp . 80 : 10.1.0.1 . 8080 }
    }
    set last {
        type ipv4_addr
        last
        elements = { 10.0.0.1 }
    }
    set q {
        type ipv4_addr
        quota 500 bytes
        elements = { 10.0.0.1 quota 500 bytes }
    }
    set cl {
        type ipv4_addr
        flags dynamic
        size 16
        ct count over 5
    }
}
END
table <<'END'
table ip t {
    map v {
        typeof ip saddr : verdict
        counter
        elements = { 10.0.0.1 counter packets 1 bytes 2 : accept, * counter packets 0 bytes 0 : drop }
    }
    set catch {
        type ipv4_addr
        flags interval
        elements = { 10.0.0.0/8, * }
    }
}
END
table <<'END'
table ip t {
    set s {
        typeof ip saddr . iifname
        size 1000
        flags dynamic,timeout
        timeout 1m
        gc-interval 10s
        policy memory
    }
    chain c {
        add @s { ip saddr . iifname timeout 30s }
        delete @s { ip saddr . iifname }
    }
}
END
table <<'END'
table inet t {
    flags dormant
    chain c {
        type filter hook prerouting priority mangle
        meta l4proto tcp tproxy ip to 127.0.0.1:50080
        socket transparent 1 accept
    }
}
END
table <<'END'
table inet t {
    chain c {
        type route hook output priority mangle
        ip dscp set cs1
        tcp option maxseg size set rt mtu
        reset tcp option sack-perm
        ct zone set 1
        notrack
        ct mark set 1
    }
    chain n {
        type nat hook postrouting priority srcnat
        masquerade random
        meta l4proto tcp snat ip to 10.0.0.1-10.0.0.5:1000-2000 persistent
    }
}
END
table <<'END'
table inet t {
    map m {
        typeof iifname . ip protocol . th dport : verdict
        flags interval
        elements = { "eth0" . tcp . 22 : accept, "lo" . udp . 53-54 : drop }
    }
    map n {
        typeof ct mark : ip saddr
        elements = { 0x1 : 10.0.0.1 }
    }
    map o {
        type mark : ifname
        elements = { 0x1 : "eth0" }
    }
    map i6 {
        typeof ip6 daddr : ip6 daddr . tcp dport
        elements = { 2001:db8::1 : fd00::1 . 80 }
    }
}
END

[ $count -gt 15 ] || fail "only $count tables"
echo "tables read: $count"
