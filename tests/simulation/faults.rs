//! What may happen to a call: what the seed does to it, and what lands later.

use std::time::Duration;

use fakes::connection::Fate;
use fakes::world::{Behind, Reply};
use fakes::{Op, world::EPOCH};
use tokio::time::Instant;

use crate::schedule::{Pending, Schedule};

/// What may go wrong in a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How likely a call is interfered with.
    pub deviation: f64,
    /// How likely an actor is interrupted by another.
    pub switch: f64,
    /// How many actors may crash.
    pub crashes: u32,
    /// A read of IAM may be so many writes old; 0 if IAM lags by time.
    pub stale_writes: usize,
    /// Crash the first actor at its nth call, before or after its effect, and do nothing else.
    pub crash_at: Option<(usize, bool)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { deviation: 0.12, switch: 0.24, crashes: 1, stale_writes: 2, crash_at: None }
    }
}

impl Options {
    /// Nothing goes wrong.
    pub fn undisturbed() -> Self {
        Self { deviation: 0.0, switch: 0.0, crashes: 0, stale_writes: 0, crash_at: None }
    }
}

/// A request that its caller has given up, and that may still take effect.
pub struct Late {
    author: usize,
    op: Op,
    lands: Instant,
    /// When S3 got it.
    second: i64,
}

/// A write under the lease starts with at least six seconds of it left: it never lands after the lease.
const UNDER_THE_LEASE: Duration = Duration::from_millis(5900);

/// The put of a grant needs no lease; S3 may be slow with it for half a minute.
const OF_A_GRANT: Duration = Duration::from_secs(30);

impl Schedule<'_> {
    /// Requests that their callers have given up take effect when their time has come.
    pub fn land(&mut self) {
        let now = Instant::now();
        let due = |late: &Vec<Late>| {
            let due = (0..late.len()).filter(|index| late[*index].lands <= now);
            due.min_by_key(|index| late[*index].lands)
        };
        while let Some(index) = due(&self.late) {
            let late = self.late.remove(index);
            self.note(late.author, "a late request lands");
            let dated_when_sent = self.rng.bool();
            let mut world = self.world.lock();
            let second = if dated_when_sent { late.second } else { world.now() };
            world.apply_dated(late.author, &late.op, Behind::Replica, second);
        }
    }

    /// One call happens.
    pub fn happen(&mut self, pending: Pending, op: Op) {
        let author = pending.author;
        if self.crashes_here(author, &op) {
            return;
        }
        if self.is_person(author) || !self.chance(self.options.deviation) {
            return self.answer(pending, &op, Behind::Replica);
        }
        if self.options.crashes > 0 && self.chance(0.25) {
            self.options.crashes -= 1;
            return self.crash(&pending, op);
        }
        if matches!(&op, Op::DeleteObject(key) if key.starts_with("members/")) {
            // The administrator sees to it that the file is gone.
            return self.answer(pending, &op, Behind::Replica);
        }
        if op.is_iam_read() && self.options.stale_writes > 0 && self.chance(0.7) {
            let writes = self.rng.usize(1..=self.options.stale_writes);
            self.note(author, &format!("answered from {writes} writes ago"));
            return self.answer(pending, &op, Behind::Writes(writes));
        }
        let may_be_lost = op.writes_document() || op.writes_lease() || op.writes_grant();
        match self.rng.u8(0..5) {
            0 if self.may_be_late(&op) => {
                self.note(author, "no answer, and it may land later");
                self.send_late(&pending, op);
                let _ = pending.reply.send(Fate::Silent);
            }
            0 | 1 if may_be_lost => {
                self.note(author, "the answer is lost");
                self.world.lock().apply(author, &op, 0);
                let _ = pending.reply.send(self.no_answer());
            }
            2 => {
                self.note(author, "the request is lost");
                let _ = pending.reply.send(self.no_answer());
            }
            3 => {
                self.note(author, "throttled");
                let error = match op.is_iam() {
                    true => Reply::Error(400, "Throttling"),
                    false => Reply::Error(503, "SlowDown"),
                };
                self.refuse(pending, error);
            }
            4 if op.writes_lease() => {
                self.note(author, "conditional request conflict");
                self.refuse(pending, Reply::Error(409, "ConditionalRequestConflict"));
            }
            _ => self.answer(pending, &op, Behind::Replica),
        }
    }

    fn may_be_late(&self, op: &Op) -> bool {
        self.scenario.late && op.writes_document() || self.scenario.slow && op.writes_grant()
    }

    /// The request is on the wire: it lands while its caller still waits, or after that, or never.
    fn send_late(&mut self, pending: &Pending, op: Op) {
        let put = matches!(op, Op::PutObject { .. });
        if put {
            self.requests.slow(pending.author);
        }
        let ago = i64::try_from(pending.sent.elapsed().as_secs()).unwrap();
        let second = (self.world.lock().now() - ago).max(EPOCH);
        let window = if put { OF_A_GRANT } else { UNDER_THE_LEASE };
        let part = match self.rng.u8(0..4) {
            0 => return,
            1 => self.rng.f64(),
            _ => 1.0 - 0.35 * self.rng.f64(),
        };
        let lands = pending.sent + window.mul_f64(part);
        self.late.push(Late { author: pending.author, op, lands, second });
    }

    fn no_answer(&mut self) -> Fate {
        if self.rng.bool() { Fate::Broken } else { Fate::Silent }
    }

    fn crash(&mut self, pending: &Pending, op: Op) {
        let what = match self.rng.u8(0..3) {
            0 => "crashes before the call",
            1 => {
                self.world.lock().apply(pending.author, &op, 0);
                "crashes after the call"
            }
            _ if self.may_be_late(&op) => {
                self.send_late(pending, op);
                "crashes with the call on the wire"
            }
            _ => "crashes before the call",
        };
        self.kill(pending.author, what);
    }

    /// Whether the first actor is to crash at this call.
    fn crashes_here(&mut self, author: usize, op: &Op) -> bool {
        let (Some((nth, after)), 0) = (self.options.crash_at, author) else {
            return false;
        };
        self.calls_of_first += 1;
        if self.calls_of_first != nth {
            return false;
        }
        if after {
            self.world.lock().apply(author, op, 0);
        }
        let what = match after {
            true => "crashes after the call",
            false => "crashes before the call",
        };
        self.kill(author, what);
        true
    }

    fn answer(&mut self, pending: Pending, op: &Op, behind: Behind) {
        let mut world = self.world.lock();
        let reply = world.apply_behind(pending.author, op, behind);
        let now = world.now();
        drop(world);
        let _ = pending.reply.send(Fate::Answered(reply, now));
    }

    fn refuse(&mut self, pending: Pending, error: Reply) {
        let now = self.world.lock().now();
        let _ = pending.reply.send(Fate::Answered(error, now));
    }
}
