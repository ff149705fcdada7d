//! Leaves the unwinder's search table out of the release binary. With `panic = "abort"` nothing is ever unwound, and the
//! table does not compress: it is a fiftieth of what a cold start has to load.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
