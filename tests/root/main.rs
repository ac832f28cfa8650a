//! The programs of a real root tarball, doing their work: level 3 of the tests.
//!
//! `K3SROOT_TEST_DIST` names the folder that `k3sroot build` wrote; `make test-root` sets it. Without it every test says
//! `SKIPPED` and why. A program that is not in the tarball because its source could not be had is `SKIPPED` too, if the
//! build said so in `k3s-root-<arch>.missing.txt`; any other absence is a failure.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod network;
mod programs;
mod rootfs;
mod tarball;
