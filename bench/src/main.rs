//! Measures the release binaries on this machine and writes what it finds into `docs/performance.md`.
//!
//! It is a benchmark, not a test: absolute times depend on the machine, so every goal is a ratio taken in one run, or a
//! count. `make bench` builds what it needs and runs it. Arguments name single parts (`PARTS`), which are only printed;
//! with `--write` they are written too, and the others stay as they are.

mod aws;
mod build;
mod burst;
mod peers;
mod quota;
mod report;
mod runtime;
mod waits;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws::{Aws, Certificate, Distance};
use fakes::{POLICY, add_event};
use runtime::{Function, Program};
use serde_json::{Value, json};

/// Where the member comes from.
const HOME: &str = "51.44.71.80";

/// Where everybody is let in.
const AT_WORK: &str = "123.123.123.123";

/// What can be measured, in the order of the page.
const PARTS: [&str; 8] =
    ["cold-start", "first-answer", "size", "document", "peers", "waits", "burst", "build"];

/// How often each thing is measured.
const RUNS: usize = 100;

/// Figures of one thing, in the unit of the goal.
pub struct Figures {
    median: f64,
    p99: f64,
}

impl Figures {
    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| samples[((samples.len() - 1) as f64 * share).round() as usize];
        Self { median: at(0.5), p99: at(0.99) }
    }

    fn times(mut samples: Vec<Duration>) -> Self {
        Self::of(samples.drain(..).map(|sample| sample.as_secs_f64() * 1000.0).collect())
    }
}

/// Where the programs are.
pub struct Programs {
    root: PathBuf,
    release: PathBuf,
}

impl Programs {
    fn release(&self, name: &str) -> Program {
        self.release.join(name).into()
    }

    /// Writes the certificate where a function finds it by `AWS_CA_BUNDLE`; -> where.
    fn bundle(&self, certificate: &Certificate) -> Result<String, Box<dyn Error>> {
        let bundle = self.root.join("target/bench-bundle.pem");
        std::fs::write(&bundle, &certificate.pem)?;
        Ok(bundle.to_str().ok_or("the path is not UTF-8")?.to_owned())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let programs = Programs { release: root.join("target/release"), root };
    let named: Vec<String> = std::env::args().skip(1).collect();
    let (options, named): (Vec<_>, Vec<_>) = named.into_iter().partition(|word| word == "--write");
    if let Some(unknown) = named.iter().find(|name| !PARTS.contains(&name.as_str())) {
        return Err(format!("no part `{unknown}`: there are {}", PARTS.join(", ")).into());
    }
    let mut report = report::Report::default();
    for part in PARTS {
        if named.is_empty() || named.iter().any(|name| name == part) {
            report.begin(part);
            measure(part, &programs, &mut report).await?;
        }
    }
    if named.is_empty() || !options.is_empty() {
        let page = programs.root.join("docs/performance.md");
        report.write(&page)?;
        println!("written to {}", page.display());
    }
    Ok(())
}

async fn measure(
    part: &str,
    programs: &Programs,
    report: &mut report::Report,
) -> Result<(), Box<dyn Error>> {
    match part {
        "cold-start" => cold_start(programs, report).await?,
        "first-answer" => first_answer(programs, report).await?,
        "size" => sizes(programs, report)?,
        "peers" => report.section(&peers::compare(programs).await?.table()?),
        "waits" => report.section(&waits::measure(programs).await?.page()?),
        "burst" => {
            let bursts = burst::all(&programs.release("add-ip")).await?;
            report.section(&report::bursts(&bursts)?);
        }
        "build" => report.section(&report::build(build::measure(&programs.root)?)),
        _ => documents(programs, report)?,
    }
    Ok(())
}

fn sizes(programs: &Programs, report: &mut report::Report) -> Result<(), Box<dyn Error>> {
    for name in ["add-ip", "reset-policy"] {
        let zipped = zipped(&programs.release.join(name))? as f64 / 1e6;
        report.single(&format!("{name}: zipped bootstrap"), zipped, "MB", "3 MB", zipped <= 3.0);
    }
    Ok(())
}

/// The time from exec to the first `GET /next`, and the CPU that it takes.
async fn cold_start(
    programs: &Programs,
    report: &mut report::Report,
) -> Result<(), Box<dyn Error>> {
    println!("cold start, {RUNS} times each");
    let names = ["empty", "add-ip", "reset-policy"];
    let mut waits = names.map(|_| Vec::new());
    for _ in 0..RUNS {
        for (name, waits) in names.iter().zip(&mut waits) {
            let mut function =
                Function::start(&programs.release(name), &settings("http://127.0.0.1:9", ""))
                    .await?;
            waits.push(function.ready().await?);
            function.end().await?;
        }
    }
    let [empty, add, reset] = waits.map(Figures::times);
    report.line("empty function: exec to first `GET /next`", &empty, "ms", None);
    report.line("add-ip: the same", &add, "ms", Some((add.median / empty.median, 1.5)));
    report.line("reset-policy: the same", &reset, "ms", Some((reset.median / empty.median, 1.5)));
    Ok(())
}

/// The CPU that a process takes from its start to its first answer, over TLS, and what it needs of memory.
async fn first_answer(
    programs: &Programs,
    report: &mut report::Report,
) -> Result<(), Box<dyn Error>> {
    println!("first answer, {RUNS} times each");
    let certificate = Certificate::new()?;
    let bundle = programs.bundle(&certificate)?;
    let (empty, add_ip) = (programs.release("empty"), programs.release("add-ip"));
    let mut cpu: [Vec<Duration>; 6] = Default::default();
    let mut calls = 0;
    let (mut waits, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let [nothing, stranger, allowed, plain, added, warm] = &mut cpu;
        nothing.push(life(&empty, &settings("http://127.0.0.1:9", ""), json!({}), None).await?.cpu);
        let aws = Aws::start(Distance::NONE, None).await?;
        plain.push(
            life(&add_ip, &settings(&aws.endpoint, ""), add_event("alice", HOME), Some("added"))
                .await?
                .cpu,
        );
        let aws = Aws::start(Distance::NONE, Some(&certificate)).await?;
        let variables = settings(&aws.endpoint, &bundle);
        stranger.push(
            life(&add_ip, &variables, add_event("nobody", HOME), Some("unauthorized")).await?.cpu,
        );
        allowed.push(
            life(&add_ip, &variables, add_event("alice", AT_WORK), Some("already_allowed"))
                .await?
                .cpu,
        );
        let aws = Aws::start(Distance::NONE, Some(&certificate)).await?;
        let variables = settings(&aws.endpoint, &bundle);
        let one = life(&add_ip, &variables, add_event("alice", HOME), Some("added")).await?;
        calls = aws.counts().0;
        added.push(one.cpu);
        // That process has left its lease behind.
        let aws = Aws::start(Distance::NONE, Some(&certificate)).await?;
        warm.push(second_add(&add_ip, &settings(&aws.endpoint, &bundle)).await?);
        waits.push(one.wait);
        memory.push(one.peak_memory as f64 / 1000.0);
    }
    let [nothing, stranger, allowed, plain, added, warm] = cpu.map(Figures::times);
    let ratio = |figures: &Figures, goal: f64| Some((figures.median / nothing.median, goal));
    report.line("empty function: CPU of its whole life, one answer", &nothing, "ms", None);
    report.line(
        "add-ip: CPU from its start to the first answer over TLS, a stranger",
        &stranger,
        "ms",
        ratio(&stranger, 3.5),
    );
    report.line("add-ip: the same, `already_allowed`", &allowed, "ms", ratio(&allowed, 3.5));
    report.line("add-ip: the same, `added`", &added, "ms", ratio(&added, 3.5));
    report.line(
        "add-ip: the same, `added`, over plain HTTP",
        &plain,
        "ms",
        ratio(&plain, f64::INFINITY),
    );
    report.line(
        "add-ip: time from its start to the first `added` over TLS",
        &Figures::times(waits),
        "ms",
        None,
    );
    let memory = Figures::of(memory);
    report.single(
        "add-ip: peak memory of an add over TLS (p99)",
        memory.p99,
        "MB",
        "12 MB",
        memory.p99 <= 12.0,
    );
    let (whole, tls) = (added.median, added.median - plain.median);
    report.section(&format!(
        "Where the CPU of the first `added` goes, by differences of the figures above. Its {calls} calls alone are {:.2} times \
         the empty function's whole life.\n\n\
         | what | CPU |\n|---|---|\n\
         | what the empty function needs too | {:.2} ms |\n\
         | the same add in a warm process over TLS: {calls} calls, the documents, the log line, the answer ({:.2} ms a call) | {:.2} ms |\n\
         | TLS: handshakes and certificates | {tls:.2} ms |\n\
         | making two SDK clients, and what runs for the first time | {:.2} ms |\n\
         | **sum** | **{whole:.2} ms** |",
        warm.median / nothing.median,
        nothing.median,
        warm.median / calls as f64,
        warm.median,
        whole - nothing.median - warm.median - tls,
    ));
    Ok(())
}

/// The CPU that a second add takes up to its answer, in a process whose clients and connections are there.
async fn second_add(
    program: &Program,
    variables: &[(&str, &str)],
) -> Result<Duration, Box<dyn Error>> {
    let mut function = Function::start_with(program, variables, waits::LINGER).await?;
    let mut taken = Duration::ZERO;
    for address in ["51.44.72.1", "51.44.72.2"] {
        function.ready().await?;
        let before = function.cpu()?;
        function.send(add_event("alice", address))?;
        expect(&function.answer().await?.0, "added")?;
        taken = function.cpu()? - before;
    }
    function.end().await?;
    Ok(taken)
}

/// Fails where the answer does not say `word`.
fn expect(answer: &Value, word: &str) -> Result<(), Box<dyn Error>> {
    if answer["body"].as_str().unwrap_or_default().contains(&format!(r#"":"{word}""#)) {
        return Ok(());
    }
    Err(format!("the function answered {answer}").into())
}

/// What one process did and took.
struct Life {
    cpu: Duration,
    wait: Duration,
    peak_memory: u64,
}

async fn life(
    program: &Program,
    variables: &[(&str, &str)],
    event: Value,
    expected: Option<&str>,
) -> Result<Life, Box<dyn Error>> {
    // What it does after its answer is not part of it.
    let mut function = Function::start_with(program, variables, Duration::from_secs(5)).await?;
    function.send(event)?;
    let (answer, when) = function.answer().await?;
    if let Some(expected) = expected {
        expect(&answer, expected)?;
    }
    let (wait, peak_memory) = (when - function.started(), function.peak_memory()?);
    Ok(Life { cpu: function.end().await?, wait, peak_memory })
}

/// The settings of both functions; `bundle` names the certificates to trust, empty for the embedded ones.
pub fn settings<'a>(endpoint: &'a str, bundle: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("POLICY_ARNS", POLICY),
        ("STATE_BUCKET", "state"),
        ("MAX_GRANTS_PER_MEMBER", "1000"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_CA_BUNDLE", bundle),
    ]
}

fn zipped(program: &Path) -> Result<u64, Box<dyn Error>> {
    let mut encoder = flate2::read::DeflateEncoder::new(
        std::fs::File::open(program)?,
        flate2::Compression::new(6),
    );
    Ok(std::io::copy(&mut encoder, &mut std::io::sink())?)
}

/// What one full document costs, as divan measures it.
fn documents(programs: &Programs, report: &mut report::Report) -> Result<(), Box<dyn Error>> {
    println!("documents");
    let bench = Command::new(env!("CARGO"))
        .current_dir(&programs.root)
        .args(["bench", "--locked", "-p", "allowlist", "--bench", "document"])
        .output()?;
    let text = String::from_utf8(bench.stdout)?;
    if !bench.status.success() {
        return Err(
            format!("`cargo bench` failed: {}", String::from_utf8_lossy(&bench.stderr)).into()
        );
    }
    let medians = report::medians_of_divan(&text);
    let adds = medians.iter().filter(|(name, _)| name.starts_with("add"));
    let full = adds
        .map(|(_, median)| *median)
        .max_by(f64::total_cmp)
        .ok_or("divan told nothing of `add`")?;
    report.single("parse, decide and render a full document", full, "µs", "200 µs", full < 200.0);
    report.section(&report::documents(&text));
    Ok(())
}
