//! The program `hob`. Everything is in the library, so that tests can run it; see `cli.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hob::cli::main()
}
