//! A test for each case and for each place that it runs in; names as in `cases/`.

use std::collections::BTreeSet;

use crate::case::{self, Case, Way};
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
    (both: $($both:ident)*; here: $($here:ident)*; booted: $($booted:ident)*;) => {
        tests!(on_this_machine, super::here::run, $($both)* $($here)*);
        tests!(on_debians_kernel, super::boot::run, $($both)* $($booted)*);
    };
}

cases! {
    both:
        blkid busybox conntrack coreutils ebtables ethtool findutils fuse_overlayfs ip ip_tuntap ipset
        iptables_detect_empty iptables_detect_forced iptables_detect_hint iptables_detect_legacy iptables_detect_nft
        iptables_legacy iptables_legacy6 iptables_nft iptables_nft6 iptables_set_legacy iptables_set_nft
        losetup mount nft nsenter pigz slirp4netns translate versions xtables_other;
    here: iptables_apply;
    booted: disk modprobe;
}

#[test]
fn every_case_is_a_test() {
    let cases = case::all();
    for (tests, ways) in
        [(on_this_machine::NAMES, &[Way::Native, Way::User][..]), (on_debians_kernel::NAMES, &[Way::Booted])]
    {
        let runs = cases.iter().filter(|case| ways.iter().any(|way| case.runs(*way)));
        let names: BTreeSet<&str> = runs.map(|case| case.name.as_str()).collect();
        assert_eq!(tests.iter().copied().collect::<BTreeSet<_>>(), names);
    }
}
