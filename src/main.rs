//! The `k3sroot` program: everything it does is in the library's `cli` module.

use std::process::ExitCode;

fn main() -> ExitCode {
    k3sroot::cli::main()
}
