//! The programs of a real root tarball, doing their work: level 3 of the tests.
//!
//! `K3SROOT_TEST_DIST` names the folder that `k3sroot build` wrote, `K3SROOT_TEST_ARCH` the arch (`amd64`);
//! `make test-root` sets both. Without the first every test says `SKIPPED` and why. A program that is not in the tarball
//! because its source could not be had is `SKIPPED` too, if the build said so in `k3s-root-<arch>.missing.txt`; any other
//! absence is a failure.
//!
//! What a program has to do is a script in `cases/`. It runs on this machine, under qemu's user emulation if it is of
//! another arch, and once more in a machine that qemu boots with Debian's kernel.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod boot;
mod case;
mod cases;
mod cpio;
mod here;
mod k3s;
mod modules;
mod rootfs;
#[path = "../common/skipped.rs"]
mod skipped;
mod tarball;
