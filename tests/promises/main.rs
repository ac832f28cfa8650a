//! Promises that hold for whatever comes in: the functions that libFuzzer calls are called here with the inputs that it
//! found interesting, and with made-up ones (CONTRIBUTING.md, "Fuzzing").
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod archives;
mod corpus;
mod order;

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "there it is a library")]
mod targets;
