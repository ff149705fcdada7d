//! What building costs: everything from nothing, and again after a change of our own code.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// What building both functions for release came to.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    pub clean: Duration,
    pub incremental: Duration,
    /// Bytes in the target folder.
    pub size: u64,
}

/// Builds both functions in a target folder of their own, which is removed again.
pub fn measure(root: &Path) -> Result<Build, Box<dyn Error>> {
    println!("a build from nothing, and one after a change");
    let target = root.join("target/bench-build");
    let build = || -> Result<Duration, Box<dyn Error>> {
        let started = Instant::now();
        let arguments = [
            "build",
            "--quiet",
            "--release",
            "--locked",
            "-p",
            "add-ip",
            "-p",
            "reset-policy",
            "--target-dir",
        ];
        let status =
            Command::new(env!("CARGO")).current_dir(root).args(arguments).arg(&target).status()?;
        if status.success() { Ok(started.elapsed()) } else { Err("`cargo build` failed".into()) }
    };
    let clean = build()?;
    std::fs::File::options()
        .append(true)
        .open(root.join("shared/allowlist/src/lib.rs"))?
        .set_modified(SystemTime::now())?;
    let incremental = build()?;
    let size = size(&target)?;
    std::fs::remove_dir_all(&target)?;
    Ok(Build { clean, incremental, size })
}

fn size(folder: &Path) -> Result<u64, Box<dyn Error>> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        total += if kind.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(total)
}
