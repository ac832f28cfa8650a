//! `iptables-detect.sh` and `xtables-set-mode.sh`, run as a node runs them: by the kernel, under each shell a node may
//! have as `/bin/sh`, in a folder laid out as either tarball lays it out.
//!
//! busybox comes from `K3SROOT_TEST_BUSYBOX`, or from PATH. What cannot be run here says `SKIPPED` on stderr.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use node::Kernel::{
    self, CompatBuiltIn, CompatLoadable, CompatLoaded, Legacy, LegacyIdle, LegacyLoadable, NftBuiltIn,
    NftLoadable, NftLoaded, NoSymbols,
};
use node::{Layout, NAMES, SCRIPTS, finish, on_every_node, on_path, replace_once, start, write};
use skipped::skipped;

#[path = "scripts/node.rs"]
mod node;
#[path = "common/skipped.rs"]
mod skipped;

const HINT: &str = "*mangle\n:PREROUTING ACCEPT [0:0]\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";
const CANARY: &str = "*mangle\n:PREROUTING ACCEPT [0:0]\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n";
/// No chain of the kubelet's, though its names are in it.
const ALIKE: &str = "*mangle\n:KUBE-IPTABLES-HINTS - [0:0]\n# :KUBE-KUBELET-CANARY - \nCOMMIT\n";
const EMPTY: &str = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
const ONE_RULE: &str = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
const TWO_RULES: &str = "*filter\n-A INPUT -s * -j ACCEPT\n-A INPUT -m comment --comment \"-A b\"\nCOMMIT\n";

// ---- finding the mode -----------------------------------------------------------------------------------------------

/// A node, and what is to be found on it.
#[derive(Clone, Copy)]
struct Case {
    forced: Option<&'static str>,
    kernel: &'static [Kernel],
    /// What `iptables-save` prints in each mode, then `ip6tables-save`.
    nft: &'static str,
    nft6: &'static str,
    legacy: &'static str,
    legacy6: &'static str,
    /// What the node's own `iptables --version` prints.
    node: Option<&'static str>,
    mode: &'static str,
    /// How the explanation begins.
    how: &'static str,
    /// The links are left to a later call, as the mode's part of the kernel is not in memory.
    later: bool,
}

const V_NFT: &str = "iptables v1.8.9 (nf_tables)";
const V_LEGACY: &str = "iptables v1.8.9 (legacy)";
const BOTH: &[Kernel] = &[NftLoaded, CompatLoaded, Legacy];
const BUILT_IN: &[Kernel] = &[NftBuiltIn, CompatBuiltIn, Legacy];
/// What the rows below leave out.
const NONE: Case = Case {
    forced: None,
    kernel: BOTH,
    nft: "",
    nft6: "",
    legacy: "",
    legacy6: "",
    node: None,
    mode: "",
    how: "",
    later: false,
};

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { forced: Some("nft"), legacy: HINT, mode: "nft", how: "env (IPTABLES_MODE)", ..NONE },
    Case { forced: Some("legacy"), nft: HINT, mode: "legacy", how: "env (IPTABLES_MODE)", ..NONE },
    Case { forced: Some(""), nft: HINT, mode: "nft", how: "hint (KUBE-IPTABLES-HINT is in nft)", ..NONE },
    // The kubelet's chains, in either mode and family, against everything else.
    Case { nft: HINT, legacy: TWO_RULES, node: Some(V_LEGACY), mode: "nft", how: "hint", ..NONE },
    Case { nft6: HINT, legacy: TWO_RULES, mode: "nft", how: "hint", ..NONE },
    Case { legacy: HINT, nft: TWO_RULES, node: Some(V_NFT), mode: "legacy", how: "hint", ..NONE },
    Case { legacy6: HINT, nft: TWO_RULES, mode: "legacy", how: "hint (KUBE-IPTABLES-HINT is in legacy)", ..NONE },
    Case { legacy: HINT, nft: CANARY, mode: "legacy", how: "hint", ..NONE },
    Case { nft: HINT, legacy: HINT, mode: "nft", how: "hint", ..NONE },
    Case { nft: CANARY, legacy: TWO_RULES, mode: "nft", how: "canary (KUBE-KUBELET-CANARY is in nft)", ..NONE },
    Case { nft6: CANARY, mode: "nft", how: "canary", ..NONE },
    Case { legacy: CANARY, nft: TWO_RULES, mode: "legacy", how: "canary", ..NONE },
    Case { legacy6: CANARY, mode: "legacy", how: "canary", ..NONE },
    Case { legacy: ALIKE, nft: EMPTY, mode: "nft", how: "kernel", ..NONE },
    Case { kernel: BUILT_IN, nft: HINT, mode: "nft", how: "hint", ..NONE },
    // Rules.
    Case { nft: ONE_RULE, legacy: EMPTY, mode: "nft", how: "rules (1 in nft, 0 in legacy)", ..NONE },
    Case { nft: EMPTY, legacy6: ONE_RULE, mode: "legacy", how: "rules (1 in legacy, 0 in nft)", ..NONE },
    Case { nft: ONE_RULE, legacy: TWO_RULES, mode: "legacy", how: "rules (2 in legacy, 1 in nft)", ..NONE },
    Case { kernel: BUILT_IN, nft6: TWO_RULES, legacy: ONE_RULE, node: Some(V_LEGACY), mode: "nft", how: "rules", ..NONE },
    // The node's own iptables, where rules tell nothing.
    Case { node: Some(V_NFT), mode: "nft", how: "node (", ..NONE },
    Case { node: Some(V_LEGACY), mode: "legacy", how: "node (", ..NONE },
    Case { node: Some("iptables v1.6.1"), mode: "legacy", how: "node (", ..NONE },
    Case { nft: EMPTY, legacy: EMPTY, node: Some(V_LEGACY), mode: "legacy", how: "node (", ..NONE },
    Case { nft: ONE_RULE, legacy: ONE_RULE, node: Some(V_LEGACY), mode: "legacy", how: "node (", ..NONE },
    Case { node: Some("who knows"), mode: "nft", how: "kernel", ..NONE },
    Case { kernel: &[LegacyLoadable], node: Some(V_LEGACY), mode: "legacy", how: "node (", later: true, ..NONE },
    // What the node has cannot work on its kernel.
    Case { kernel: &[NftLoaded, CompatLoaded], node: Some(V_LEGACY), mode: "nft", how: "kernel", ..NONE },
    Case { kernel: &[NftLoaded, CompatLoaded], node: Some("iptables v1.6.1"), mode: "nft", how: "kernel", ..NONE },
    Case { kernel: &[Legacy], node: Some(V_NFT), mode: "legacy", how: "kernel", ..NONE },
    Case { kernel: &[], node: Some(V_LEGACY), mode: "nft", how: "default", later: true, ..NONE },
    // The kernel.
    Case { kernel: BOTH, mode: "nft", how: "kernel (has nf_tables)", ..NONE },
    Case { kernel: &[NftLoaded, CompatLoadable], mode: "nft", how: "kernel", ..NONE },
    Case { kernel: &[NftBuiltIn, CompatBuiltIn], mode: "nft", how: "kernel", ..NONE },
    Case { kernel: BUILT_IN, mode: "nft", how: "kernel", ..NONE },
    Case { kernel: &[NftLoadable, CompatLoadable, LegacyLoadable], mode: "nft", how: "kernel", later: true, ..NONE },
    Case { kernel: &[NftLoadable, CompatLoadable, LegacyIdle], mode: "nft", how: "kernel", later: true, ..NONE },
    Case { kernel: &[Legacy], mode: "legacy", how: "kernel (has ip_tables", ..NONE },
    Case { kernel: &[LegacyIdle], mode: "legacy", how: "kernel", ..NONE },
    Case { kernel: &[LegacyLoadable], mode: "legacy", how: "kernel", later: true, ..NONE },
    Case { kernel: &[NftLoadable, LegacyLoadable], mode: "legacy", how: "kernel (has ip_tables, no usable", later: true, ..NONE },
    Case { kernel: &[NftLoaded], mode: "nft", how: "default (nothing tells)", ..NONE },
    Case { kernel: &[], mode: "nft", how: "default", later: true, ..NONE },
    // Without symbols only the kernel itself knows whether nf_tables is there.
    Case { kernel: &[NoSymbols, Legacy], nft: HINT, mode: "nft", how: "hint", ..NONE },
    Case { kernel: &[NoSymbols, NftLoaded, CompatLoaded], mode: "nft", how: "kernel", ..NONE },
];

/// Called by its own name the script explains and changes nothing; called by another it sets the links and becomes
/// the binary of the mode that it explained.
#[test]
fn finds_the_mode() {
    on_every_node(|new_node| {
        for (number, case) in CASES.iter().enumerate() {
            let node = new_node();
            node.kernel(case.kernel);
            for (mode, program, text) in [
                ("nft", "iptables-save", case.nft),
                ("nft", "ip6tables-save", case.nft6),
                ("legacy", "iptables-save", case.legacy),
                ("legacy", "ip6tables-save", case.legacy6),
            ] {
                node.saves(mode, program, text);
            }
            if let Some(version) = case.node {
                node.own_iptables(&format!("[ \"$*\" = --version ] && echo '{version}'\n"));
            }
            let run = |name, arguments: &[&str]| {
                let mut command = node.command(&node.xtables(name));
                command.args(arguments).envs(case.forced.map(|mode| ("IPTABLES_MODE", mode)));
                finish(start(&mut command), "")
            };

            let explained = run("iptables-detect.sh", &[]);
            let expected = format!("mode is {} detected via {}", case.mode, case.how);
            assert!(
                explained.stdout.starts_with(&expected),
                "case {number}: expected {expected:?} in {explained:?}"
            );
            assert_eq!((explained.code, explained.stderr.as_str()), (Some(0), ""), "case {number}");
            assert_eq!(explained.stdout.lines().count(), 1, "case {number}: {explained:?}");
            assert_eq!(node.links(), "iptables-detect.sh", "case {number}");

            let ran = run("iptables", &["-n", "-L"]);
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "case {number}");
            assert_eq!(
                node.calls().last().unwrap(),
                &format!("{}<iptables><-n><-L>", case.mode),
                "case {number}"
            );
            let links = format!("xtables-{}-multi", case.mode);
            let links = if case.later { "iptables-detect.sh" } else { &links };
            assert_eq!(node.links(), links, "case {number}");
            assert_eq!(node.left_over(), [""; 0], "case {number}");
            let names_a_table = |call: &String| call.starts_with("legacy<ip") && call.contains("<-t>");
            assert!(
                !node.calls().iter().any(names_a_table),
                "case {number} made a legacy table: {:?}",
                node.calls()
            );
        }
    });
}

/// What is only loadable is loaded by the first command; the next call sees it in memory, and sets the links.
#[test]
fn sets_the_links_when_the_mode_works() {
    on_every_node(|new_node| {
        for (mode, kernel) in [("nft", &[NftLoadable, CompatLoadable][..]), ("legacy", &[LegacyLoadable])] {
            let node = new_node();
            node.kernel(kernel).loads(mode);
            assert_eq!(node.run("iptables", &["-L"]).code, Some(0));
            assert_eq!(node.links(), "iptables-detect.sh");
            assert_eq!(node.run("iptables", &["-L"]).code, Some(0));
            assert_eq!(node.links(), format!("xtables-{mode}-multi"));
        }
    });
}

/// A mode that `IPTABLES_MODE` demands and the kernel does not have: one line says so, nothing else happens, and calls
/// without the variable go on as if there had been none.
#[test]
fn refuses_a_mode_that_the_kernel_lacks() {
    on_every_node(|new_node| {
        for (forced, other, kernel) in
            [("legacy", "nft", &[NftLoaded, CompatLoaded][..]), ("nft", "legacy", &[Legacy])]
        {
            let node = new_node();
            node.kernel(kernel);
            for program in NAMES {
                node.exits(forced, program, 3);
            }
            for name in NAMES {
                let part = match (forced, name.starts_with("ip6")) {
                    ("nft", _) => "nf_tables",
                    (_, true) => "ip6_tables",
                    _ => "ip_tables",
                };
                let mut command = node.command(&node.xtables(name));
                let outcome = finish(start(command.args(["-t", "nat"]).env("IPTABLES_MODE", forced)), "");
                assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""), "{name}");
                assert_eq!(
                    outcome.stderr,
                    format!(
                        "{name}: IPTABLES_MODE is {forced}, but this kernel has no {part} and cannot load it\n"
                    )
                );
                assert!(!node.calls().iter().any(|call| call.contains("<nat>")), "{:?}", node.calls());
                assert_eq!((node.links().as_str(), node.left_over().len()), ("iptables-detect.sh", 0));
            }
            let explained = finish(
                start(node.command(&node.xtables("iptables-detect.sh")).env("IPTABLES_MODE", forced)),
                "",
            );
            assert_eq!(
                (explained.code, explained.stdout),
                (Some(0), format!("mode is {forced} detected via env (IPTABLES_MODE)\n"))
            );
            assert!(explained.stderr.starts_with("iptables-detect.sh: this kernel seems to have no "));

            assert_eq!(node.run("ip6tables-save", &[""; 0]).code, Some(0));
            assert_eq!(node.links(), format!("xtables-{other}-multi"));
        }

        // IPv4 has legacy, IPv6 has not.
        let node = new_node();
        node.kernel(&[Legacy]).exits("legacy", "ip6tables", 3);
        fs::remove_file(node.at("proc/net/ip6_tables_names")).unwrap();
        for (name, code, links) in
            [("ip6tables", 3, "iptables-detect.sh"), ("iptables", 0, "xtables-legacy-multi")]
        {
            let mut command = node.command(&node.xtables(name));
            let outcome = finish(start(command.env("IPTABLES_MODE", "legacy")), "");
            assert_eq!((outcome.code, node.links().as_str()), (Some(code), links), "{name}: {outcome:?}");
        }
    });
}

/// What is demanded is loaded, and then it counts as there.
#[test]
fn loads_what_is_demanded() {
    on_every_node(|new_node| {
        for mode in ["nft", "legacy"] {
            let node = new_node();
            node.loads(mode);
            let mut command = node.command(&node.xtables("ip6tables-restore"));
            let outcome = finish(start(command.env("IPTABLES_MODE", mode)), "");
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
            assert_eq!(node.calls().last().unwrap(), &format!("{mode}<ip6tables-restore>"));
            assert_eq!(node.links(), format!("xtables-{mode}-multi"));
        }
    });
}

/// Anything but a mode in `IPTABLES_MODE` is an error that says so: nothing is run and nothing set.
#[test]
fn refuses_an_unknown_mode() {
    on_every_node(|new_node| {
        for (name, forced) in
            [("iptables", "nonsense"), ("iptables-detect.sh", "NFT"), ("ip6tables-save", "nft legacy")]
        {
            let node = new_node();
            let outcome = finish(start(node.command(&node.xtables(name)).env("IPTABLES_MODE", forced)), "");
            assert_eq!(outcome.code, Some(2), "{outcome:?}");
            assert_eq!(
                outcome.stderr,
                format!("{name}: IPTABLES_MODE is '{forced}', must be nft or legacy\n")
            );
            assert_eq!((node.links().as_str(), node.calls().len()), ("iptables-detect.sh", 0));
        }
    });
}

/// By its own name the script takes no arguments: an iptables command under a wrong name is not swallowed.
#[test]
fn takes_no_arguments_by_its_own_name() {
    on_every_node(|new_node| {
        let node = new_node();
        let outcome = node.run("iptables-detect.sh", &["-A", "INPUT"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        assert!(outcome.stderr.starts_with("usage: "), "{outcome:?}");
    });
}

/// Looking loads no module: a mode that is not in the kernel is not asked for its rules.
#[test]
fn asks_only_what_is_in_the_kernel() {
    let asked: &[(&[Kernel], &[&str])] = &[
        (&[], &[]),
        (&[NftLoadable, CompatLoadable, LegacyLoadable], &[]),
        (&[LegacyIdle], &[]),
        (&[Legacy], &["legacy<iptables-save>", "legacy<ip6tables-save>"]),
        (
            &[NftBuiltIn],
            &[
                "nft<iptables-save><-t><mangle>",
                "nft<ip6tables-save><-t><mangle>",
                "nft<iptables-save>",
                "nft<ip6tables-save>",
            ],
        ),
    ];
    on_every_node(|new_node| {
        for (kernel, calls) in asked {
            let node = new_node();
            assert_eq!(node.kernel(kernel).run("iptables-detect.sh", &[""; 0]).code, Some(0));
            assert_eq!(node.calls(), *calls);
        }
    });
}

/// A mode that was found without seeing all the rules is for one call only.
#[test]
fn does_not_keep_what_it_found_blindly() {
    on_every_node(|new_node| {
        let node = new_node();
        node.kernel(&[NftLoaded, CompatLoaded]).exits("nft", "iptables-save", 4);
        let outcome = node.run("iptables", &["--version"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        assert_eq!(node.calls().last().unwrap(), "nft<iptables><--version>");
        assert_eq!(node.links(), "iptables-detect.sh");
    });
}

// ---- running the command --------------------------------------------------------------------------------------------

/// Each of the six names becomes the same name in the binary, with the caller's argv, PATH, stdin and exit code.
#[test]
fn runs_the_command_unchanged() {
    let words = ["-A", "", "two  words", "*", "$HOME `id`", "\\t", "-n", "", "\u{fc}"];
    let rules = (0..500)
        .map(|rule| format!("-A INPUT -m comment --comment \"  {rule} \\ *\"\n"))
        .collect::<Vec<_>>()
        .concat();
    on_every_node(|new_node| {
        for name in NAMES {
            for mode in ["nft", "legacy"] {
                let node = new_node();
                node.kernel(BOTH).saves(mode, "iptables-save", HINT).exits(mode, name, 3);
                let mut command = node.command(&node.xtables(name));
                let outcome = finish(start(command.args(words).stdin(Stdio::piped())), &rules);

                assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(3), ""), "{name} {mode}");
                assert_eq!(node.calls().last().unwrap(), &format!("{mode}<{name}><{}>", words.join("><")));
                assert_eq!(
                    fs::read_to_string(node.at("state/path")).unwrap().trim_end(),
                    node.path.as_ref().unwrap()
                );
                if name.ends_with("-restore") {
                    let expected =
                        rules.lines().map(|rule| format!("> {rule}\n")).collect::<Vec<_>>().concat();
                    assert_eq!(outcome.stdout, expected, "{name} {mode}");
                }
            }
        }
    });
}

/// The tools are found, the tarball's own first, whatever PATH is; without any, only the links are not set.
#[test]
fn needs_nothing_on_path() {
    on_every_node(|new_node| {
        for path in [None, Some(""), Some("relative:/nonexistent::"), Some("/proc")] {
            let mut node = new_node();
            node.path = path.map(str::to_owned);
            node.kernel(&[NftBuiltIn, CompatBuiltIn]).saves("nft", "iptables-save", HINT);
            let outcome = node.run("iptables", &["-L"]);
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "PATH {path:?}");
            assert_eq!(node.links(), "xtables-nft-multi", "PATH {path:?}");
        }

        let node = new_node();
        if node.layout == Layout::Root {
            let own_grep = node.at("bin/grep");
            fs::remove_file(&own_grep).unwrap();
            node.executable(
                &own_grep,
                &format!("echo own >>'{}'\nexit 0\n", node.at("state/grep").display()),
            );
            assert!(node.run("iptables-detect.sh", &[""; 0]).stdout.contains("kernel (has nf_tables)"));
            assert!(node.at("state/grep").exists(), "the grep of the tarball was not used");
        }

        let node = new_node();
        for script in ["iptables-detect.sh", "xtables-set-mode.sh"] {
            let text = fs::read_to_string(node.xtables(script)).unwrap();
            write(
                &node.xtables(script),
                &replace_once(&text, "/usr/sbin:/usr/bin:/sbin:/bin", "/nonexistent"),
                0o755,
            );
        }
        if node.layout == Layout::Root {
            fs::remove_file(node.at("bin/busybox")).unwrap();
        }
        node.kernel(&[Legacy]).saves("legacy", "ip6tables-save", CANARY);
        let outcome = node.run("iptables", &["-L"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "no tools");
        assert_eq!(node.calls().last().unwrap(), "legacy<iptables><-L>", "no tools");
    });
}

/// A shell that is told to run the script runs all of it, where nothing is at `/bin/sh`.
#[test]
fn needs_no_bin_sh() {
    on_every_node(|new_node| {
        for name in NAMES {
            let node = new_node();
            node.without_bin_sh().kernel(BOTH).saves("legacy", "iptables-save", HINT);
            let outcome = finish(start(node.by_shell(name).args(["-w", "-m"])), "");
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{name}");
            assert_eq!(node.calls().last().unwrap(), &format!("legacy<{name}><-w><-m>"));
            assert_eq!(node.links(), "xtables-legacy-multi", "{name}");
            assert_eq!(node.left_over(), [""; 0]);
        }
        let node = new_node();
        let outcome =
            finish(start(node.without_bin_sh().by_shell("xtables-set-mode.sh").args(["-m", "nft"])), "");
        assert_eq!((outcome.code, node.links().as_str()), (Some(0), "xtables-nft-multi"), "{outcome:?}");
    });
}

/// Where the folder cannot be written, and as a user who may not see the rules, each call finds the mode again.
#[test]
fn works_in_a_read_only_folder() {
    on_every_node(|new_node| {
        let node = new_node();
        let root = fs::metadata(node.at("")).unwrap().uid() == 0;
        node.kernel(&[LegacyIdle, NftLoaded, CompatLoaded]);
        fs::set_permissions(node.at("proc/net/ip_tables_names"), fs::Permissions::from_mode(0o000)).unwrap();
        write(&node.at("state/calls"), "", 0o666);
        write(&node.at("state/path"), "", 0o666);
        fs::set_permissions(node.xtables(""), fs::Permissions::from_mode(0o555)).unwrap();
        let as_nobody = |program: &str, arguments: &[&str]| {
            let mut command = node.command(&node.xtables(program));
            command.args(arguments);
            if root {
                command.uid(65534).gid(65534);
            }
            finish(start(&mut command), "")
        };
        for _ in 0..2 {
            let outcome = as_nobody("ip6tables", &["-L"]);
            assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), "", ""));
            assert_eq!(node.calls().last().unwrap(), "nft<ip6tables><-L>");
            assert_eq!(node.links(), "iptables-detect.sh");
        }
        let refused = as_nobody("xtables-set-mode.sh", &["-m", "nft"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
        assert!(refused.stderr.contains("xtables-set-mode.sh: cannot set "), "{refused:?}");
        fs::set_permissions(node.xtables(""), fs::Permissions::from_mode(0o755)).unwrap();
    });
}

/// First calls at once all work, and no name is ever missing meanwhile.
#[test]
fn works_when_called_at_once() {
    on_every_node(|new_node| {
        let node = new_node();
        node.kernel(BOTH).saves("legacy", "iptables-save", HINT);
        let running: Vec<Child> = (0..12)
            .map(|call| start(node.command(&node.xtables(NAMES[call % 6])).arg(call.to_string())))
            .collect();
        let until = Instant::now() + Duration::from_millis(300);
        while Instant::now() < until {
            for name in NAMES {
                assert!(node.xtables(name).exists(), "{name} is gone");
            }
        }
        for child in running {
            let outcome = finish(child, "");
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        }
        let calls = node.calls();
        for call in 0..12 {
            let expected = format!("legacy<{}><{call}>", NAMES[call % 6]);
            assert_eq!(calls.iter().filter(|line| **line == expected).count(), 1, "{expected} in {calls:?}");
        }
        assert_eq!(node.links(), "xtables-legacy-multi");
        assert_eq!(node.left_over(), [""; 0]);
    });
}

/// Calls that demand different modes at once run what they demand, and the links agree in the end.
#[test]
fn calls_at_once_agree() {
    on_every_node(|new_node| {
        for _ in 0..4 {
            let node = new_node();
            node.kernel(BOTH);
            let running: Vec<(&str, Child)> = (0..8)
                .map(|call| {
                    let mode = ["nft", "legacy"][call % 2];
                    let mut command = node.command(&node.xtables(NAMES[call % 6]));
                    (mode, start(command.arg(call.to_string()).env("IPTABLES_MODE", mode)))
                })
                .collect();
            for (number, (mode, child)) in running.into_iter().enumerate() {
                let outcome = finish(child, "");
                assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
                let expected = format!("{mode}<{}><{number}>", NAMES[number % 6]);
                // A link that another call has set already leads to that one's binary.
                let ran = node.calls().iter().any(|call| call.ends_with(&expected[mode.len()..]));
                assert!(ran, "{expected} in {:?}", node.calls());
            }
            let links = node.links();
            assert!(links == "xtables-nft-multi" || links == "xtables-legacy-multi", "{links}");
            assert_eq!(node.left_over(), [""; 0]);

            let running: Vec<(&str, Child)> = (0..8)
                .map(|call| {
                    let mode = ["nft", "legacy"][call % 2];
                    let mut command = node.command(&node.xtables("xtables-set-mode.sh"));
                    (mode, start(command.args(["-m", mode])))
                })
                .collect();
            for (mode, child) in running {
                let outcome = finish(child, "");
                let other = outcome.stderr.contains("another call has set the mode to xtables-");
                assert!(outcome.code == Some(0) || outcome.code == Some(1) && other, "{mode}: {outcome:?}");
            }
            let links = node.links();
            assert!(links == "xtables-nft-multi" || links == "xtables-legacy-multi", "{links}");
            assert_eq!(node.left_over(), [""; 0]);
        }
    });
}

/// No way through PATH leads back into the script: itself, a link to it, a script that runs it, another K3s tarball.
#[test]
fn never_asks_itself() {
    on_every_node(|new_node| {
        for way in ["own folder", "link", "script", "other tarball"] {
            let mut node = new_node();
            let own = node.xtables("iptables");
            match way {
                "own folder" => node.path = Some(node.xtables("").display().to_string()),
                "link" => symlink(&own, node.at("node/iptables")).unwrap(),
                "script" => drop(node.own_iptables(&format!("exec '{}' \"$@\"\n", own.display()))),
                _ => {
                    node.own_iptables("echo 'iptables v1.8.9 (legacy)'\n");
                    write(&node.at("node/iptables-detect.sh"), "", 0o755);
                }
            }
            node.kernel(&[NftLoaded, CompatLoaded]);
            let explained = node.run("iptables-detect.sh", &[""; 0]);
            assert_eq!(explained.stdout, "mode is nft detected via kernel (has nf_tables)\n", "{way}");
            assert_eq!(
                (node.run("iptables", &["-L"]).code, node.links().as_str()),
                (Some(0), "xtables-nft-multi"),
                "{way}"
            );
        }

        // And past our own folder, the node's iptables is found.
        let mut node = new_node();
        node.path = Some(format!("{}:{}", node.xtables("").display(), node.at("node").display()));
        node.kernel(&[LegacyIdle]).own_iptables("echo 'iptables v1.8.9 (legacy)'\n");
        assert!(
            node.run("iptables-detect.sh", &[""; 0]).stdout.starts_with("mode is legacy detected via node (")
        );

        // A tarball whose binaries lead back to the script is broken; that must show, and end.
        let node = new_node();
        for mode in ["nft", "legacy"] {
            let binary = node.xtables(&format!("xtables-{mode}-multi"));
            fs::remove_file(&binary).unwrap();
            symlink("iptables-detect.sh", &binary).unwrap();
        }
        assert_eq!(node.run("iptables", &["-L"]).code, Some(2));
    });
}

/// The scripts find their folder when called through a link from elsewhere, and from within by a relative path.
#[test]
fn finds_its_folder() {
    on_every_node(|new_node| {
        let node = new_node();
        node.kernel(&[Legacy]).saves("legacy", "iptables-save", HINT);
        let elsewhere = node.at("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(node.xtables("ip6tables"), elsewhere.join("ip6tables")).unwrap();
        symlink(node.xtables("xtables-set-mode.sh"), elsewhere.join("set-mode")).unwrap();

        let outcome = finish(start(&mut node.command(&elsewhere.join("ip6tables"))), "");
        assert_eq!((outcome.code, node.links().as_str()), (Some(0), "xtables-legacy-multi"), "{outcome:?}");
        assert_eq!(node.calls().last().unwrap(), "legacy<ip6tables>");
        let outcome = finish(start(node.command(&elsewhere.join("set-mode")).args(["-m", "nft"])), "");
        assert_eq!((outcome.code, node.links().as_str()), (Some(0), "xtables-nft-multi"), "{outcome:?}");

        let node = new_node();
        node.kernel(&[Legacy]).saves("legacy", "iptables-save", HINT);
        let mut command = node.command(Path::new("./iptables"));
        let outcome = finish(start(command.current_dir(node.xtables("")).env("CDPATH", "/:.")), "");
        assert_eq!((outcome.code, node.links().as_str()), (Some(0), "xtables-legacy-multi"), "{outcome:?}");
    });
}

// ---- xtables-set-mode.sh --------------------------------------------------------------------------------------------

/// The six names are set from whatever they were, and what was set is printed.
#[test]
fn sets_the_mode() {
    on_every_node(|new_node| {
        let node = new_node();
        for (arguments, mode) in
            [(&["-m", "legacy"][..], "legacy"), (&["-mnft"], "nft"), (&["-m", "nft"], "nft")]
        {
            // A broken link, a missing name and a plain file, as a copy that follows links leaves it.
            for name in &NAMES[..3] {
                fs::remove_file(node.xtables(name)).unwrap();
            }
            symlink("no-such-binary", node.xtables(NAMES[0])).unwrap();
            write(&node.xtables(NAMES[1]), "", 0o755);

            let outcome = node.run("xtables-set-mode.sh", arguments);
            let printed = NAMES
                .iter()
                .map(|name| format!("{name} -> xtables-{mode}-multi\n"))
                .collect::<Vec<_>>()
                .concat();
            assert_eq!((outcome.code, outcome.stderr.as_str(), outcome.stdout), (Some(0), "", printed));
            assert_eq!(node.links(), format!("xtables-{mode}-multi"));
            assert_eq!(node.left_over(), [""; 0]);
        }
        // The names are the binary now, and go on working under their own names.
        assert_eq!(node.run("ip6tables", &["-L"]).code, Some(0));
        assert_eq!(node.calls().last().unwrap(), "nft<ip6tables><-L>");
    });
}

/// A mode that is set stays with `-k`, and is completed where a call did not come to its end; without it, it does not.
#[test]
fn keeps_a_mode() {
    on_every_node(|new_node| {
        let node = new_node();
        assert_eq!(node.run("xtables-set-mode.sh", &["-k", "-m", "nft"]).code, Some(0));
        assert_eq!(node.links(), "xtables-nft-multi");
        let kept = node.run("xtables-set-mode.sh", &["-km", "legacy"]);
        assert_eq!(
            (kept.code, kept.stderr.as_str()),
            (Some(1), "xtables-set-mode.sh: another call has set the mode to xtables-nft-multi\n")
        );
        assert_eq!(node.links(), "xtables-nft-multi");
        assert_eq!(node.run("xtables-set-mode.sh", &["-m", "legacy"]).code, Some(0));
        assert_eq!(node.links(), "xtables-legacy-multi");

        // The call that finds the mode again completes what is half set, and does not undo it.
        let node = new_node();
        fs::remove_file(node.xtables("iptables")).unwrap();
        symlink("xtables-legacy-multi", node.xtables("iptables")).unwrap();
        assert_eq!(node.kernel(BOTH).run("ip6tables", &["-L"]).code, Some(0));
        assert_eq!(node.links(), "xtables-legacy-multi");
    });
}

/// Wrong arguments change nothing and say what is right.
#[test]
fn refuses_wrong_arguments() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&[], 2, "no mode given; usage: xtables-set-mode.sh [-k] -m nft|legacy"),
        (&["-m"], 2, "-m needs a value"),
        (&["-m", ""], 2, "no mode given"),
        (&["-m", "nf_tables"], 2, "unknown mode 'nf_tables'"),
        (&["-m", "nft legacy"], 2, "unknown mode 'nft legacy'"),
        (&["nft"], 2, "unexpected argument 'nft'"),
        (&["-m", "nft", "more"], 2, "unexpected argument 'more'"),
        (&["-x"], 2, "unknown option -x"),
        (&["-m", "legacy"], 1, "there is no xtables-legacy-multi in "),
    ];
    on_every_node(|new_node| {
        let node = new_node();
        fs::remove_file(node.xtables("xtables-legacy-multi")).unwrap();
        for (arguments, code, message) in cases {
            let outcome = node.run("xtables-set-mode.sh", arguments);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(*code), ""), "{arguments:?}");
            let expected = format!("xtables-set-mode.sh: {message}");
            assert!(outcome.stderr.starts_with(&expected), "{arguments:?}: {expected:?} in {outcome:?}");
            assert_eq!(node.links(), "iptables-detect.sh", "{arguments:?}");
        }
        let help = node.run("xtables-set-mode.sh", &["-h"]);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
        assert!(help.stdout.starts_with("usage: xtables-set-mode.sh [-k] -m nft|legacy\n"), "{help:?}");
    });
}

// ---- the files ------------------------------------------------------------------------------------------------------

/// Mode, first lines and what shellcheck says.
#[test]
fn scripts_are_clean() {
    let scripts = ["iptables-detect.sh", "xtables-set-mode.sh"].map(|name| Path::new(SCRIPTS).join(name));
    for script in &scripts {
        let text = fs::read_to_string(script).unwrap();
        assert!(
            text.starts_with("#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"),
            "{}",
            script.display()
        );
        assert_eq!(fs::metadata(script).unwrap().permissions().mode() & 0o777, 0o755, "{}", script.display());
    }
    if on_path("shellcheck").is_none() {
        skipped("shellcheck of scripts", "not on PATH");
        return;
    }
    let outcome = finish(
        start(Command::new("shellcheck").args(&scripts).stdout(Stdio::piped()).stderr(Stdio::piped())),
        "",
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{}", outcome.stderr);
}
