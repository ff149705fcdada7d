//! Links the release binary to a fixed address, as Go does by default: a position-independent one carries fifteen thousand
//! relocations, which every cold start would have to load and apply. Heap, stack and libraries are still randomised.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
