//! Links the release binary to a fixed address, as Go does by default. A position-independent
//! binary has fifteen thousand relocations, and every cold start would load and apply them. Heap,
//! stack and libraries are still randomised.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
