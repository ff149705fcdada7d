//! The build script of both functions. It links the release binary to a fixed address, as Go does by
//! default. A position-independent binary has fifteen thousand relocations, and every cold start would
//! load and apply them. Heap, stack and libraries are still randomised.
//!
//! It refuses to build for arm64 by accident: `sam build` on such a machine builds for it also where the
//! template says x86_64, and Lambda could not start the result.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
    println!("cargo::rerun-if-env-changed=ARCHITECTURE");
    if !var("PROFILE").is_ok_and(|profile| profile == "release") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    let is_arm = var("CARGO_CFG_TARGET_ARCH").is_ok_and(|processor| processor == "aarch64");
    if is_arm && !var("ARCHITECTURE").is_ok_and(|wanted| wanted == "arm64") {
        println!(
            "cargo::error=this is a build for arm64, and template.yaml asks for x86_64 unless it is told otherwise: \
             run `make build`, which tells it, or set ARCHITECTURE=arm64"
        );
    }
}
