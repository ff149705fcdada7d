//! The same job beside add-ip's, in the same run: boto3, which most people would write it with (`bench/peers/`).

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fakes::add_event;

use crate::aws::{Aws, Certificate, Distance, FULL};
use crate::burst::DISTANCE;
use crate::report::verdict;
use crate::runtime::{Function, Program};
use crate::{Figures, HOME, Programs, expect, life, settings, zipped};

/// How often each thing is measured.
const RUNS: usize = 30;

/// How many addresses a warm process adds after its first one.
const ADDS: u32 = 20;

/// How many warm processes there are.
const PROCESSES: usize = 5;

/// What a package installer brings that a function would not be deployed with.
const NOT_DEPLOYED: [&str; 6] =
    ["__pycache__", "pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils"];

/// One program that does the job.
struct Contender {
    program: Program,
    /// How many versions it finds: as many as it leaves itself.
    versions: Option<u64>,
    size: u64,
    samples: Samples,
}

/// Times and CPU in milliseconds.
#[derive(Default)]
struct Samples {
    cold_start: Vec<Duration>,
    first: Vec<Duration>,
    first_cpu: Vec<Duration>,
    far: Vec<Duration>,
    warm: Vec<Duration>,
    warm_cpu: Vec<Duration>,
    memory: Vec<f64>,
}

/// Both programs, measured.
pub struct Comparison {
    versions: String,
    rows: Vec<Row>,
}

struct Row {
    what: &'static str,
    unit: &'static str,
    ours: f64,
    theirs: f64,
    /// The largest ratio that is good, in words and as a number.
    goal: Option<(&'static str, f64)>,
}

/// Measures both, in turns.
pub async fn compare(programs: &Programs) -> Result<Comparison, Box<dyn Error>> {
    println!("add-ip and boto3, {RUNS} times each");
    let venv = programs.root.join(".venv-peer");
    let python = venv.join("bin/python");
    if !python.exists() {
        return Err("boto3 is not installed: run `python3 local/stack.py peer`".into());
    }
    let script = programs.root.join("bench/peers/add_ip.py");
    let add_ip = Contender {
        program: programs.release("add-ip"),
        versions: None,
        size: zipped(&programs.release.join("add-ip"))?,
        samples: Samples::default(),
    };
    let boto3 = Contender {
        program: Program::script(&python, &script),
        versions: Some(FULL),
        size: zipped_packages(&venv.join("lib"))? + zipped(&script)?,
        samples: Samples::default(),
    };
    let mut both = [add_ip, boto3];
    let certificate = Certificate::new()?;
    let bundle = programs.bundle(&certificate)?;
    for run in 0..RUNS {
        for contender in &mut both {
            contender.once(&certificate, &bundle).await?;
            if run < PROCESSES {
                contender.warm(&certificate, &bundle).await?;
            }
        }
    }
    Ok(Comparison { versions: versions(&python, programs)?, rows: rows(both) })
}

impl Contender {
    async fn account(
        &self,
        distance: Distance,
        certificate: &Certificate,
    ) -> Result<Aws, Box<dyn Error>> {
        match self.versions {
            None => Aws::start(distance, Some(certificate)).await,
            Some(versions) => Aws::start_with(distance, Some(certificate), versions).await,
        }
    }

    /// A start alone, and an add in a new process, with AWS near and far.
    async fn once(
        &mut self,
        certificate: &Certificate,
        bundle: &str,
    ) -> Result<(), Box<dyn Error>> {
        let near = self.account(Distance::NONE, certificate).await?;
        let variables = settings(&near.endpoint, bundle);
        let mut function = Function::start(&self.program, &variables).await?;
        self.samples.cold_start.push(function.ready().await?);
        function.end().await?;
        let first =
            life(&self.program, &variables, add_event("alice", HOME), Some("added")).await?;
        self.samples.first.push(first.wait);
        self.samples.first_cpu.push(first.cpu);
        self.samples.memory.push(first.peak_memory as f64 / 1000.0);
        let far = self.account(Distance::everywhere(DISTANCE), certificate).await?;
        let variables = settings(&far.endpoint, bundle);
        let first =
            life(&self.program, &variables, add_event("alice", HOME), Some("added")).await?;
        self.samples.far.push(first.wait);
        Ok(())
    }

    /// Adds of new addresses, one after the other, in one process.
    async fn warm(
        &mut self,
        certificate: &Certificate,
        bundle: &str,
    ) -> Result<(), Box<dyn Error>> {
        let aws = self.account(Distance::NONE, certificate).await?;
        let variables = settings(&aws.endpoint, bundle);
        let mut function = Function::start(&self.program, &variables).await?;
        function.ready().await?;
        let mut before = Duration::ZERO;
        for host in 0..=ADDS {
            let sent = std::time::Instant::now();
            function.send(add_event("alice", &format!("51.44.72.{host}")))?;
            let (answer, when) = function.answer().await?;
            expect(&answer, "added")?;
            // What it does after the answer is part of its CPU.
            function.ready().await?;
            if host == 0 {
                before = function.cpu()?;
            } else {
                self.samples.warm.push(when - sent);
            }
        }
        self.samples.warm_cpu.push((function.cpu()? - before) / ADDS);
        function.end().await?;
        Ok(())
    }
}

fn rows(both: [Contender; 2]) -> Vec<Row> {
    let sizes = [both[0].size as f64 / 1e6, both[1].size as f64 / 1e6];
    let [ours, theirs] = both.map(|contender| contender.samples);
    let times = |what, ours: Vec<Duration>, theirs: Vec<Duration>, goal| Row {
        what,
        unit: "ms",
        ours: Figures::times(ours).median,
        theirs: Figures::times(theirs).median,
        goal,
    };
    let megabytes = |what, ours, theirs| Row { what, unit: "MB", ours, theirs, goal: None };
    let fiftieth = Some(("≤ 1/50", 0.02));
    vec![
        times("cold start: exec to first `GET /next`", ours.cold_start, theirs.cold_start, None),
        times("time from the start to the first `added`", ours.first, theirs.first, None),
        times(
            "the same with 20 ms for every call of AWS",
            ours.far,
            theirs.far,
            Some(("< 1", 1.0)),
        ),
        times("a warm add of a new address", ours.warm, theirs.warm, None),
        times(
            "CPU from the start to the first `added`",
            ours.first_cpu,
            theirs.first_cpu,
            fiftieth,
        ),
        times(
            "CPU of a warm add, with what comes after the answer",
            ours.warm_cpu,
            theirs.warm_cpu,
            None,
        ),
        megabytes(
            "peak memory of the first add",
            Figures::of(ours.memory).median,
            Figures::of(theirs.memory).median,
        ),
        megabytes("what is deployed, zipped", sizes[0], sizes[1]),
    ]
}

impl Comparison {
    /// The table with its words.
    pub fn table(&self) -> Result<String, std::fmt::Error> {
        let mut text = format!(
            "Beside boto3 ({}), over TLS, on the same stub, in turns; medians. `bench/peers/add_ip.py` lists the versions, reads the default \
             one, deletes the oldest of five and creates one: four calls. It asks S3 nothing and checks nothing: no key, no lease, no \
             limit, no baseline. Its bytecode is compiled beforehand.\n\n\
             | what | add-ip | boto3 | add-ip / boto3 | goal |\n|---|---|---|---|---|\n",
            self.versions
        );
        for Row { what, unit, ours, theirs, goal } in &self.rows {
            let ratio = ours / theirs;
            let shown =
                if ratio < 0.5 { format!("1/{:.0}", 1.0 / ratio) } else { format!("{ratio:.2}") };
            let goal = goal.map_or_else(String::new, |(words, most)| {
                format!("{words} {}", verdict(ratio <= most))
            });
            writeln!(
                text,
                "| {what} | {ours:.2} {unit} | {theirs:.2} {unit} | {shown} | {goal} |"
            )?;
        }
        Ok(text.trim_end().to_owned())
    }
}

/// The versions of Python and of boto3.
fn versions(python: &Path, programs: &Programs) -> Result<String, Box<dyn Error>> {
    let answer = String::from_utf8(Command::new(python).arg("--version").output()?.stdout)?;
    let pins = std::fs::read_to_string(programs.root.join("bench/peers/requirements.txt"))?;
    let pin = pins.lines().find_map(|line| line.strip_prefix("boto3=="));
    let boto3 = pin.and_then(|line| line.split(' ').next()).ok_or("boto3 is not pinned")?;
    Ok(format!("{boto3}, {}", answer.trim()))
}

/// The bytes of all files in a folder, each zipped by itself, as a zip file holds them.
fn zipped_packages(folder: &Path) -> Result<u64, Box<dyn Error>> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let package = name.split(['-', '.']).next().unwrap_or_default();
        if NOT_DEPLOYED.contains(&package) {
            continue;
        }
        total += match entry.file_type()?.is_dir() {
            true => zipped_packages(&entry.path())?,
            false => zipped(&entry.path())?,
        };
    }
    Ok(total)
}
