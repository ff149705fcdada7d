//! Many members at once, each served by a process of its own, as Lambda does it.

use std::error::Error;
use std::time::{Duration, Instant};

use fakes::add_event;

use crate::aws::{Aws, Distance};
use crate::runtime::{Function, Program};
use crate::settings;

/// What every call of AWS takes.
pub const DISTANCE: Duration = Duration::from_millis(20);

/// What one burst came to; the middle one of three runs by its time.
#[derive(Clone, Debug)]
pub struct Burst {
    pub members: usize,
    pub versions: usize,
    pub calls: usize,
    /// From the first event to the last answer, in round trips.
    pub round_trips: f64,
    /// The same to the median answer.
    pub median: f64,
}

/// Every size, three times each.
pub async fn all(program: &Program) -> Result<Vec<Burst>, Box<dyn Error>> {
    let mut bursts = Vec::new();
    for members in [1, 10, 50, 100, 200] {
        println!("{members} members at once, three times");
        let mut runs = Vec::new();
        for _ in 0..3 {
            runs.push(one(program, members).await?);
        }
        runs.sort_by(|one, other| one.round_trips.total_cmp(&other.round_trips));
        for Burst { versions, calls, round_trips, .. } in &runs {
            println!(
                "  {versions} versions, {calls} calls, {round_trips:.1} round trips to the last answer"
            );
        }
        bursts.push(runs.swap_remove(1));
    }
    Ok(bursts)
}

async fn one(program: &Program, members: usize) -> Result<Burst, Box<dyn Error>> {
    let aws = Aws::start(Distance::everywhere(DISTANCE), None).await?;
    let variables = settings(&aws.endpoint, "");
    let mut functions = Vec::new();
    for _ in 0..members {
        functions.push(Function::start(program, &variables).await?);
    }
    for function in &mut functions {
        function.ready().await?;
    }
    let started = Instant::now();
    for (index, function) in functions.iter().enumerate() {
        function.send(add_event("alice", &format!("51.44.{}.{}", index / 200, index % 200)))?;
    }
    let mut waits = Vec::new();
    for function in &mut functions {
        let (answer, when) = function.answer().await?;
        if answer["statusCode"] != 200 {
            return Err(format!("a member was answered {answer}").into());
        }
        waits.push((when - started).as_secs_f64() / DISTANCE.as_secs_f64());
    }
    waits.sort_by(f64::total_cmp);
    // The last holder's release, and every process that still asks, are part of the burst.
    tokio::time::sleep(DISTANCE * 10).await;
    let (calls, versions) = aws.counts();
    let (entries, most) = aws.state();
    if entries != members + 1 || most > 5 {
        return Err(format!(
            "{entries} entries are in force after {members} members, {most} versions at most"
        )
        .into());
    }
    for function in functions {
        function.end().await?;
    }
    Ok(Burst {
        members,
        versions,
        calls,
        round_trips: waits[waits.len() - 1],
        median: waits[waits.len() / 2],
    })
}
