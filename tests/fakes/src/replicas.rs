//! How old IAM's answers are.
//!
//! The real service: a write is seen by each of IAM's replicas after a time of its own, and a read is answered by any
//! of them. So
//! - a list and a get may disagree, and a second read may be answered from an older state than the first;
//! - a version that was just made is `NoSuchEntity` for a while, and one that was deleted is readable for a while;
//! - lists and gets lag independently, for seconds, now and then for longer.
//!
//! The fake: a read is answered from the state as it was a replica's lag ago, and the replica is drawn anew for every
//! read. The lags of lists and of gets are settings of their own. A test, or the simulation, can also ask for the
//! answer of so many writes ago, or of any time ago.

use std::time::Duration;

use fastrand::Rng;

use crate::op::Op;

/// How far behind a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// As far as the replica that is drawn.
    Replica,
    /// By so many writes.
    Writes(usize),
    /// By so much time.
    Time(Duration),
}

/// IAM's replicas, each with its own lag.
#[derive(Clone, Debug)]
pub struct Replicas {
    rng: Rng,
    lists: Vec<Duration>,
    gets: Vec<Duration>,
}

impl Replicas {
    /// One replica that never lags.
    pub fn in_step() -> Self {
        Self::lagging(0, &[Duration::ZERO], &[Duration::ZERO])
    }

    /// One replica for each lag: those that answer lists, and those that answer `GetPolicyVersion` and `GetRole`.
    pub fn lagging(seed: u64, lists: &[Duration], gets: &[Duration]) -> Self {
        Self { rng: Rng::with_seed(seed), lists: lists.to_vec(), gets: gets.to_vec() }
    }

    /// Some replicas, the slowest of which lags so long.
    pub fn spread(seed: u64, count: usize, longest: Duration) -> Self {
        let mut rng = Rng::with_seed(seed);
        let lags = |rng: &mut Rng| -> Vec<Duration> {
            let mut lags: Vec<Duration> =
                (1..count).map(|_| longest.mul_f64(rng.f64().powi(2))).collect();
            lags.push(longest);
            lags
        };
        let (lists, gets) = (lags(&mut rng), lags(&mut rng));
        Self { rng, lists, gets }
    }

    /// Draws the replica that answers a read; -> its lag.
    pub fn draw(&mut self, op: &Op) -> Duration {
        let lags = match op {
            Op::ListPolicyVersions(_) => &self.lists,
            _ => &self.gets,
        };
        match lags.as_slice() {
            [] => Duration::ZERO,
            [only] => *only,
            several => several[self.rng.usize(0..several.len())],
        }
    }
}
