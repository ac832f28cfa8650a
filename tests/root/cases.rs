//! A test for each case in each place: on this machine and on Debian's kernel; names as in `cases/`.

use std::collections::BTreeSet;

use crate::case::{self, Case};
use crate::rootfs::{Root, root};
use crate::{boot, here};

fn named(name: &str) -> Option<(&'static Root, Case)> {
    let root = root()?;
    let case = case::all().into_iter().find(|case| case.name == name);
    Some((root, case.unwrap_or_else(|| panic!("there is no case `{name}`"))))
}

macro_rules! tests {
    ($place:ident, $run:path, $($name:ident)*) => {
        mod $place {
            pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];

            $(#[test]
            fn $name() {
                if let Some((root, case)) = super::named(stringify!($name)) {
                    $run(root, &case);
                }
            })*
        }
    };
}

macro_rules! cases {
    ($($name:ident)*) => {
        tests!(on_this_machine, super::here::run, $($name)*);
        tests!(on_debians_kernel, super::boot::run, $($name)*);
    };
}

// A case that cannot run in a place says there why it is skipped.
cases! {
    blkid busybox busybox_shell busybox_text conntrack coreutils disk ebtables ethtool findutils fuse_overlayfs
    ip ip_tuntap ipset iptables_apply iptables_detect_empty iptables_detect_forced iptables_detect_forced_nft
    iptables_detect_hint iptables_detect_legacy iptables_detect_nft iptables_interfaces_arp
    iptables_interfaces_legacy iptables_interfaces_legacy6 iptables_interfaces_nft iptables_interfaces_nft6
    iptables_legacy iptables_legacy6 iptables_nft iptables_nft6 iptables_no_sh iptables_only_nft_forced
    iptables_only_nft_forced_nft iptables_only_nft_found iptables_only_nft_node iptables_set_legacy
    iptables_set_nft losetup messages modprobe mount nft nft_json nft_other_read nft_other_reads nsenter pigz
    protocols regex relro slirp4netns slirp4netns_urgent translate versions xtables_other
}

#[test]
fn every_case_is_a_test() {
    let cases: BTreeSet<String> = case::all().into_iter().map(|case| case.name).collect();
    for names in [on_this_machine::NAMES, on_debians_kernel::NAMES] {
        assert_eq!(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), cases);
    }
}
