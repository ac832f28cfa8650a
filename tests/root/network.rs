//! Programs that set up networks, each in a network namespace of its own.

use crate::rootfs::{apart, has};

#[test]
fn ip_sets_addresses_routes_and_tap_devices() {
    let Some(text) = apart(
        &["iproute2"],
        "ip link set lo up
         ip addr add 192.0.2.1/24 dev lo; ip -oneline addr show dev lo | grep -o 'inet 192.0.2.1/24'
         ip route add 198.51.100.0/24 dev lo; ip route show 198.51.100.0/24
         ip -V",
    ) else {
        return;
    };
    assert!(text.starts_with("inet 192.0.2.1/24\n198.51.100.0/24 dev lo"), "{text}");
    if has("/dev/net/tun") {
        apart(&["iproute2"], "ip tuntap add dev tap0 mode tap; ip -oneline link show dev tap0");
    }
}

#[test]
fn nft_adds_and_lists_rules_also_as_json() {
    let Some(text) = apart(
        &["nftables"],
        "nft add table inet t; nft add chain inet t c '{ type filter hook input priority 0; }'
         nft add rule inet t c tcp dport 6443 counter accept
         nft list ruleset; nft -j list tables",
    ) else {
        return;
    };
    assert!(text.contains("tcp dport 6443 counter packets 0 bytes 0 accept"), "{text}");
    assert!(text.contains("\"nftables\""), "{text}");
}

/// Rules with the extensions that K3s uses.
const RULES: &str = "
    $ipt -t filter -N KUBE-X
    $ipt -A INPUT -m comment --comment 'kube rule' -m conntrack --ctstate NEW -j KUBE-X
    $ipt -A KUBE-X -p tcp -m multiport --dports 80,443 -m mark --mark 0x4000/0x4000 -j REJECT
    $ipt -A KUBE-X -m statistic --mode random --probability 0.5 -m addrtype --dst-type LOCAL -j RETURN
    $ipt -t nat -A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j MASQUERADE --random-fully
    $ipt -t nat -A PREROUTING -p tcp --dport 30000 -j DNAT --to-destination 192.0.2.7:80
    $ipt -C KUBE-X -p tcp -m multiport --dports 80,443 -m mark --mark 0x4000/0x4000 -j REJECT
    $ipt-save > rules; $ipt -F KUBE-X; $ipt-restore < rules; $ipt-save -t nat; $ipt -S
";

fn iptables(mode: &str) {
    let Some(text) = apart(&["iptables"], &format!("ipt=iptables-{mode}\n{RULES}")) else { return };
    for expected in [
        "-A INPUT -m comment --comment \"kube rule\" -m conntrack --ctstate NEW -j KUBE-X",
        "-j MASQUERADE --random-fully",
        "-j DNAT --to-destination 192.0.2.7:80",
        "-m multiport --dports 80,443",
        "--probability 0.5",
    ] {
        assert!(text.contains(expected), "{mode}: no `{expected}` in\n{text}");
    }
    let Some(version) = apart(&["iptables"], &format!("iptables-{mode} --version; ip6tables-{mode} -S"))
    else {
        return;
    };
    let back_end = if mode == "nft" { "(nf_tables)" } else { "(legacy)" };
    assert!(version.contains(back_end) && version.contains("-P INPUT ACCEPT"), "{version}");
}

#[test]
fn iptables_nft_adds_lists_saves_and_restores() {
    iptables("nft");
}

#[test]
fn iptables_legacy_adds_lists_saves_and_restores() {
    iptables("legacy");
}

#[test]
fn iptables_detect_chooses_links_and_runs() {
    if root_is_not_ours() {
        return;
    }
    let copy = "mkdir bin; cp -a \"$(dirname \"$(command -v iptables-detect.sh)\")\" bin/aux; PATH=$PWD/bin/aux:$PATH\n";
    let cases = [
        ("nft rules", "iptables-nft -A INPUT -j ACCEPT", "nf_tables"),
        ("legacy rules", "iptables-legacy -A INPUT -j ACCEPT", "legacy"),
        (
            "a hint",
            "iptables-legacy -A INPUT -j ACCEPT; iptables-nft -t mangle -N KUBE-IPTABLES-HINT",
            "nf_tables",
        ),
        ("nothing", "true", "nf_tables"),
    ];
    for (what, setup, expected) in cases {
        let script =
            format!("{copy}{setup}\niptables --version; iptables -S > rules; readlink bin/aux/iptables");
        let Some(text) = apart(&["iptables", "k3s-scripts"], &script) else { return };
        assert!(text.contains(expected), "{what}: {text}");
    }
    let script = format!("{copy}IPTABLES_MODE=legacy iptables --version");
    let Some(text) = apart(&["iptables", "k3s-scripts"], &script) else { return };
    assert!(text.contains("legacy"), "forced: {text}");
}

/// The scripts re-link names beside them, so the test works on a copy that only exists in a root.
fn root_is_not_ours() -> bool {
    crate::rootfs::root().is_none()
}

#[test]
fn ebtables_legacy_is_a_program_that_starts() {
    let Some(text) = apart(&["ebtables"], "ebtables-legacy --version") else { return };
    assert!(text.contains("2.0.11"), "{text}");
}

#[test]
fn ipset_creates_adds_and_lists() {
    let Some(text) = apart(
        &["ipset"],
        "ipset create ips hash:ip; ipset add ips 192.0.2.1
         ipset create nets hash:net; ipset add nets 198.51.100.0/24
         ipset create ports hash:ip,port; ipset add ports 192.0.2.1,tcp:80
         ipset test ips 192.0.2.1 2> tested; ipset list",
    ) else {
        return;
    };
    for expected in ["Name: ips", "192.0.2.1\n", "198.51.100.0/24", "192.0.2.1,tcp:80"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn conntrack_lists_and_counts() {
    let Some(text) = apart(
        &["conntrack-tools"],
        "conntrack -I -p tcp -s 192.0.2.1 -d 192.0.2.2 --sport 1000 --dport 80 --state ESTABLISHED --timeout 60 > made
         conntrack -L 2> summary; conntrack -C; cat summary",
    ) else {
        return;
    };
    assert!(text.contains("src=192.0.2.1 dst=192.0.2.2 sport=1000 dport=80"), "{text}");
    assert!(text.contains("1 flow entries have been shown"), "{text}");
}

#[test]
fn ethtool_asks_the_kernel_over_netlink() {
    let Some(text) =
        apart(&["ethtool", "busybox"], "busybox ip link set lo up; ethtool lo; ethtool --version")
    else {
        return;
    };
    assert!(text.contains("Link detected: yes"), "{text}");
}

#[test]
fn slirp4netns_gives_a_namespace_a_tap_device() {
    if !has("/dev/net/tun") {
        return;
    }
    // slirp4netns stays outside of the namespace that it serves; the machine's own `unshare` makes that one.
    let Some(text) = crate::rootfs::plainly(
        &["slirp4netns", "util-linux"],
        "/usr/bin/unshare --user --map-root-user --net sleep 60 & pid=$!
         trap 'kill $pid' EXIT
         sleep 1
         slirp4netns --configure --mtu=65520 $pid tap0 > log 2>&1 & slirp=$!
         sleep 2
         nsenter --target $pid --user --preserve-credentials --net busybox ip addr show dev tap0
         kill $slirp",
    ) else {
        return;
    };
    assert!(text.contains("inet 10.0.2.100/24") && text.contains("mtu 65520"), "{text}");
}
