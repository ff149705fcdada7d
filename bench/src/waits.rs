//! How long a member waits: measured with IAM near and far, and stretched by arithmetic to the share of a CPU that Lambda gives.

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fakes::add_event;

use crate::aws::{Aws, Certificate, Distance};
use crate::quota::Quota;
use crate::runtime::{Function, Program};
use crate::{AT_WORK, Figures, HOME, Programs, expect, settings};

/// How often each thing is measured.
const RUNS: usize = 30;

/// For so long after an answer a function does nothing, so that its CPU can be read.
pub const LINGER: Duration = Duration::from_millis(20);

/// What a call of S3 takes inside a region.
const S3: u64 = 5;

/// The sizes of memory in the table, in MB.
const SIZES: [u32; 3] = [512, 1024, 1769];

/// At this size Lambda gives one whole CPU, and less in proportion below it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const ONE_CPU: u32 = 1769;

/// Round-trip times in ms: inside a region, and between a member and a region nearby.
const INSIDE: f64 = 2.0;
const NEARBY: f64 = 5.0;

/// Round trips before the first answer on a new connection: TCP and TLS 1.3, and with the request itself.
const HANDSHAKES: f64 = 2.0;
const NEW_REQUEST: f64 = 3.0;

/// A member, the region nearby, and how far that is from IAM in us-east-1, in ms.
struct Place {
    member: &'static str,
    region: &'static str,
    iam: u64,
}

const PLACES: [Place; 3] = [
    Place { member: "Tokyo", region: "ap-northeast-1", iam: 160 },
    Place { member: "Frankfurt", region: "eu-central-1", iam: 90 },
    Place { member: "Virginia", region: "us-east-1", iam: 2 },
];

/// One kind of answer, in ms: medians.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// From the event to the answer; of a cold function from its start.
    wall: f64,
    /// The CPU of that, without the start.
    cpu: f64,
}

impl Wait {
    /// At a size of memory. Work takes longer with a share of a CPU, waiting does not.
    fn at(self, size: u32) -> f64 {
        self.wall + self.cpu * (f64::from(ONE_CPU) / f64::from(size) - 1.0)
    }
}

/// An add of a new address, and one that is allowed already.
#[derive(Clone, Copy, Debug)]
struct Answers {
    added: Wait,
    allowed: Wait,
}

/// With IAM so far away, in ms.
#[derive(Clone, Copy, Debug)]
struct Measured {
    iam: u64,
    cold: Answers,
    warm: Answers,
}

/// Everything that was measured.
pub struct Waits {
    full_speed: Vec<Measured>,
    /// At 512 MB with IAM in the same region, in a group with that quota: by the length of its period in ms.
    quotas: Vec<(u64, Measured)>,
}

/// Measures with the release binary, at full speed and, if the machine allows it, with a quota.
pub async fn measure(programs: &Programs) -> Result<Waits, Box<dyn Error>> {
    println!("waits, {RUNS} times each");
    let program = programs.release("add-ip");
    let certificate = Certificate::new()?;
    let bundle = programs.bundle(&certificate)?;
    let mut full_speed = Vec::new();
    for Place { iam, .. } in PLACES.iter().rev() {
        full_speed.push(all(&program, &certificate, &bundle, *iam, None).await?);
    }
    let mut quotas = Vec::new();
    for period in [20, 4] {
        let share = f64::from(SIZES[0]) / f64::from(ONE_CPU);
        if let Some(quota) = Quota::new(share, Duration::from_millis(period)) {
            let measured = all(&program, &certificate, &bundle, 2, Some(&quota)).await?;
            quotas.push((period, measured));
        }
    }
    Ok(Waits { full_speed, quotas })
}

#[derive(Default)]
struct Samples {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Samples {
    fn median(self) -> Wait {
        Wait { wall: Figures::times(self.wall).median, cpu: Figures::times(self.cpu).median }
    }
}

async fn all(
    program: &Program,
    certificate: &Certificate,
    bundle: &str,
    iam: u64,
    quota: Option<&Quota>,
) -> Result<Measured, Box<dyn Error>> {
    let distance = Distance { iam: Duration::from_millis(iam), s3: Duration::from_millis(S3) };
    let mut samples: [Samples; 4] = Default::default();
    for _ in 0..RUNS {
        let [cold_added, cold_allowed, warm_added, warm_allowed] = &mut samples;
        let aws = Aws::start(distance, Some(certificate)).await?;
        let variables = settings(&aws.endpoint, bundle);
        let mut function = start(program, &variables, quota).await?;
        once(&mut function, AT_WORK, "already_allowed", cold_allowed, true).await?;
        function.end().await?;
        let mut function = start(program, &variables, quota).await?;
        once(&mut function, HOME, "added", cold_added, true).await?;
        function.ready().await?;
        once(&mut function, "51.44.72.1", "added", warm_added, false).await?;
        function.ready().await?;
        once(&mut function, "51.44.72.1", "already_allowed", warm_allowed, false).await?;
        function.end().await?;
    }
    let [cold_added, cold_allowed, warm_added, warm_allowed] = samples.map(Samples::median);
    Ok(Measured {
        iam,
        cold: Answers { added: cold_added, allowed: cold_allowed },
        warm: Answers { added: warm_added, allowed: warm_allowed },
    })
}

/// A process that waits for its first event. Only then it gets its quota.
async fn start(
    program: &Program,
    variables: &[(&str, &str)],
    quota: Option<&Quota>,
) -> Result<Function, Box<dyn Error>> {
    let mut function = Function::start_with(program, variables, LINGER).await?;
    function.ready().await?;
    if let Some(quota) = quota {
        quota.hold(function.pid()?)?;
    }
    Ok(function)
}

async fn once(
    function: &mut Function,
    address: &str,
    word: &str,
    samples: &mut Samples,
    cold: bool,
) -> Result<(), Box<dyn Error>> {
    let before = function.cpu()?;
    let sent = Instant::now();
    function.send(add_event("alice", address))?;
    let (answer, when) = function.answer().await?;
    expect(&answer, word)?;
    samples.cpu.push(function.cpu()? - before);
    let start = if cold { function.start_time() } else { Duration::ZERO };
    samples.wall.push(start + (when - sent));
    Ok(())
}

impl Waits {
    /// The tables, with the arithmetic between them.
    pub fn page(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        self.measured(&mut text)?;
        self.arithmetic(&mut text)?;
        self.table(&mut text)?;
        self.with_quota(&mut text)?;
        Ok(text.trim_end().to_owned())
    }

    fn measured(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "Measured over TLS at full speed, medians: from the event to the answer, of a cold function from its start. A call of S3 takes {S3} ms. \
             In brackets the CPU after the start.\n\n\
             | a call of IAM takes | `added`, cold | `added`, warm | `already_allowed`, cold | `already_allowed`, warm |\n|---|---|---|---|---|"
        )?;
        for Measured { iam, cold, warm } in &self.full_speed {
            write!(text, "| {iam} ms |")?;
            for Wait { wall, cpu } in [cold.added, warm.added, cold.allowed, warm.allowed] {
                write!(text, " {wall:.1} ms ({cpu:.1}) |")?;
            }
            writeln!(text)?;
        }
        Ok(())
    }

    fn arithmetic(&self, text: &mut String) -> std::fmt::Result {
        let [tokyo, frankfurt, virginia] = PLACES;
        writeln!(
            text,
            "\nFrom that by arithmetic what a member waits:\n\n\
             - measured time + CPU after the start × ({ONE_CPU} / memory − 1): Lambda gives memory / {ONE_CPU} of a CPU;\n\
             - a cold function opens connections, first to S3, then to IAM: {HANDSHAKES:.0} round trips each (TCP, TLS 1.3). The stub does \
             not delay these;\n\
             - the member's own request on a new connection to API Gateway: {NEW_REQUEST:.0} round trips (TCP, TLS 1.3, the request).\n\n\
             Round trips are assumed, not measured (November 2026): {} to Virginia {} ms, {} to Virginia {} ms, inside a region {INSIDE} ms, \
             from a member to the region nearby {NEARBY} ms. So in {} IAM takes {} ms.\n",
            tokyo.member, tokyo.iam, frankfurt.member, frankfurt.iam, virginia.region, virginia.iam
        )?;
        let (size, far) = (SIZES[0], self.nearest_to_iam());
        let Wait { wall, cpu } = far.cold.added;
        writeln!(
            text,
            "For example from {}, with the stack in {}, cold, `added`, {size} MB: {wall:.1} + {cpu:.1} × ({ONE_CPU} / {size} − 1) + \
             {HANDSHAKES:.0} × {INSIDE} + {HANDSHAKES:.0} × {INSIDE} + {NEW_REQUEST:.0} × {} = {:.0} ms.\n",
            tokyo.member,
            virginia.region,
            tokyo.iam,
            wait(far.cold.added, size, true, INSIDE, tokyo.iam as f64),
        )
    }

    fn nearest_to_iam(&self) -> &Measured {
        &self.full_speed[0]
    }

    fn table(&self, text: &mut String) -> std::fmt::Result {
        let sizes = SIZES.map(grouped);
        write!(text, "| member | stack | function |")?;
        for word in ["added", "already_allowed"] {
            for size in &sizes {
                write!(text, " `{word}`, {size} MB |")?;
            }
        }
        writeln!(text, "\n|---|---|---|---|---|---|---|---|---|")?;
        for Place { member, region, iam } in &PLACES {
            let here = self.full_speed.iter().find(|measured| measured.iam == *iam);
            let here = here.unwrap_or(self.nearest_to_iam());
            let is_home = *iam == self.nearest_to_iam().iam;
            let near_iam = if is_home { INSIDE } else { *iam as f64 };
            row(text, member, region, here, near_iam, NEARBY)?;
            if !is_home {
                let home = PLACES[2].region;
                row(text, member, home, self.nearest_to_iam(), INSIDE, *iam as f64)?;
            }
        }
        writeln!(
            text,
            "\nNot in it, because no stub can say it: what API Gateway takes, what Lambda takes before a new process starts, what IAM and S3 \
             take for their own work beyond these distances, and looking up names. `make account` measures the sum on an account. *Warm* means that a \
             request came a moment ago: AWS closes connections that are idle for some seconds, and then a warm function opens them again."
        )
    }

    fn with_quota(&self, text: &mut String) -> std::fmt::Result {
        let Some((_, first)) = self.quotas.first() else {
            return writeln!(
                text,
                "\nThe machine does not let us make a cgroup with a CPU quota: the stretching is arithmetic."
            );
        };
        let (size, full) = (SIZES[0], self.nearest_to_iam());
        debug_assert_eq!(first.iam, full.iam);
        let percent = f64::from(size) / f64::from(ONE_CPU) * 100.0;
        writeln!(
            text,
            "\nThe stretching, checked: the same function in a cgroup with {percent:.0} % of a CPU ({size} MB), which it enters after its start, a call of IAM \
             at {} ms.\n\n\
             | | `added`, cold | `added`, warm | `already_allowed`, cold | `already_allowed`, warm |\n|---|---|---|---|---|",
            full.iam
        )?;
        let each = |measured: &Measured| {
            let Measured { cold, warm, .. } = measured;
            [cold.added, warm.added, cold.allowed, warm.allowed]
        };
        let mut line = |name: &str, times: [f64; 4]| {
            let cells: Vec<String> = times.iter().map(|time| format!("{time:.1} ms")).collect();
            writeln!(text, "| {name} | {} |", cells.join(" | "))
        };
        line("at full speed", each(full).map(|wait| wait.wall))?;
        line("by arithmetic", each(full).map(|wait| wait.at(size)))?;
        for (period, measured) in &self.quotas {
            let name = format!("with the quota, in periods of {period} ms");
            line(&name, each(measured).map(|wait| wait.wall))?;
        }
        Ok(())
    }
}

fn row(
    text: &mut String,
    member: &str,
    stack: &str,
    measured: &Measured,
    to_iam: f64,
    to_stack: f64,
) -> std::fmt::Result {
    for (name, answers, cold) in [("cold", measured.cold, true), ("warm", measured.warm, false)] {
        write!(text, "| {member} | {stack} | {name} |")?;
        for answer in [answers.added, answers.allowed] {
            for size in SIZES {
                write!(text, " {:.0} ms |", wait(answer, size, cold, to_iam, to_stack))?;
            }
        }
        writeln!(text)?;
    }
    Ok(())
}

/// What a member waits in ms, with round trips from the stack to IAM and from the member to the stack.
fn wait(measured: Wait, size: u32, cold: bool, to_iam: f64, to_stack: f64) -> f64 {
    let connections = if cold { HANDSHAKES * (INSIDE + to_iam) } else { 0.0 };
    measured.at(size) + connections + NEW_REQUEST * to_stack
}

/// `1769` as people write it.
fn grouped(number: u32) -> String {
    match number / 1000 {
        0 => number.to_string(),
        thousands => format!("{thousands},{:03}", number % 1000),
    }
}
