//! A group of processes with a share of one CPU, by the kernel's cgroups, as Lambda limits a function.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Pid;

/// Where the CPU controller of cgroups is, of the first version or of the second.
const FIRST: &str = "/sys/fs/cgroup/cpu";
const SECOND: &str = "/sys/fs/cgroup";

/// A group with a share of one CPU. It is removed in the end; by then its processes must be over.
#[derive(Debug)]
pub struct Quota {
    folder: PathBuf,
}

impl Quota {
    /// Makes the group; `None` where this machine does not let us. Its processes may run for `share` of each `period`.
    pub fn new(share: f64, period: Duration) -> Option<Self> {
        let first = Path::new(FIRST).join("cpu.cfs_quota_us").exists();
        let parent = Path::new(if first { FIRST } else { SECOND });
        let folder = parent.join(format!("ip-gate-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        let quota = Self { folder };
        let (all, part) = (period.as_micros(), period.mul_f64(share).as_micros());
        let files = if first {
            vec![("cpu.cfs_period_us", all.to_string()), ("cpu.cfs_quota_us", part.to_string())]
        } else {
            vec![("cpu.max", format!("{part} {all}"))]
        };
        // Where these files do not exist the folder is none of the kernel's, or has no CPU controller.
        let set = |(name, text): &(&str, String)| {
            let file = quota.folder.join(name);
            file.exists() && std::fs::write(file, text).is_ok()
        };
        files.iter().all(set).then_some(quota)
    }

    /// Puts a process with all its threads into the group.
    pub fn hold(&self, process: Pid) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(self.folder.join("cgroup.procs"), process.to_string())?)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}
