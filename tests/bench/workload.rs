//! What the benchmark of a node feeds to its programs: made up here, the same in every run.

use std::fmt::Write as _;

/// With three endpoints each: twenty thousand rules, in seven thousand chains.
const SERVICES: u32 = 1818;
const ENDPOINTS: u32 = 3;
const ELEMENTS: u32 = 40_000;

/// The table `nat` of a node with many services, as kube-proxy writes it for iptables-restore.
pub(crate) fn rules() -> String {
    let (mut chains, mut rules) = (String::new(), String::new());
    for chain in ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"] {
        let _ = writeln!(chains, ":{chain} ACCEPT [0:0]");
    }
    for chain in ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"] {
        let _ = writeln!(chains, ":{chain} - [0:0]");
    }
    rules += "\
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
";
    for service in 0..SERVICES {
        let name = format!("ns-{}/service-{service}:http", service % 37);
        let chain = format!("KUBE-SVC-{}", letters(service));
        let address = format!("10.96.{}.{}", service >> 8, service & 255);
        let portal =
            format!("-d {address}/32 -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80");
        let _ = writeln!(chains, ":{chain} - [0:0]");
        let _ = writeln!(rules, "-A KUBE-SERVICES {portal} -j {chain}");
        let _ = writeln!(rules, "-A {chain} ! -s 10.42.0.0/16 {portal} -j KUBE-MARK-MASQ");
        for endpoint in 0..ENDPOINTS {
            let number = service * ENDPOINTS + endpoint;
            let target = format!("KUBE-SEP-{}", letters(number + SERVICES));
            let pod = format!("10.42.{}.{}", number >> 8, number & 255);
            let left = ENDPOINTS - endpoint;
            let chance = match left {
                1 => String::new(),
                left => format!("-m statistic --mode random --probability {:.11} ", 1.0 / f64::from(left)),
            };
            let _ = writeln!(chains, ":{target} - [0:0]");
            let _ = writeln!(
                rules,
                "-A {chain} -m comment --comment \"{name} -> {pod}:8080\" {chance}-j {target}"
            );
            let _ =
                writeln!(rules, "-A {target} -s {pod}/32 -m comment --comment \"{name}\" -j KUBE-MARK-MASQ");
            let _ = writeln!(
                rules,
                "-A {target} -p tcp -m comment --comment \"{name}\" -m tcp -j DNAT --to-destination {pod}:8080"
            );
        }
    }
    format!("*nat\n{chains}{rules}COMMIT\n")
}

/// A set of many addresses, for nft.
pub(crate) fn set() -> String {
    let elements: Vec<_> = (1..=ELEMENTS)
        .map(|element| format!("10.{}.{}.{}", element >> 16, element >> 8 & 255, element & 255))
        .collect();
    format!(
        "table ip node {{\nset s {{\ntype ipv4_addr\nelements = {{\n{}\n}}\n}}\n}}\n",
        elements.join(",\n")
    )
}

/// Sixteen letters and digits that look like those of a digest: chains come in no order.
fn letters(number: u32) -> String {
    let mut state = u64::from(number) + 1;
    (0..16)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::try_from(state >> 59).unwrap_or(0)])
        })
        .collect()
}
