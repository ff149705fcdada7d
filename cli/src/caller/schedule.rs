//! When `watch` does what. It decides by the time and by what was seen; it has no clock and no
//! network.

use std::cmp::min;

/// How many looks at the address pass between two questions for the entry.
const LOOKS: i64 = 15;

/// The longest pause after refusals, in seconds.
const LONGEST_PAUSE: i64 = 3600;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Ask whether the entries are still there.
    Ask,
    /// Add the addresses.
    Add,
}

/// What is known, and when something is due. All times are in seconds since 1970.
#[derive(Clone, Debug)]
pub struct Schedule {
    every: i64,
    /// The networks that are let in, sorted.
    let_in: Vec<String>,
    /// When to ask for the entries.
    ask_at: i64,
    /// When to add again because an entry ends.
    renew_at: Option<i64>,
    /// Nothing is asked for before.
    pause_until: i64,
    /// How often it was refused in a row.
    refusals: u32,
    /// The networks that were refused; empty if the key was refused, because another address would
    /// not help.
    refused: Vec<String>,
}

impl Schedule {
    /// A look at the address every so many seconds.
    pub fn new(every: u16) -> Self {
        Self {
            every: i64::from(every),
            let_in: Vec::new(),
            ask_at: 0,
            renew_at: None,
            pause_until: 0,
            refusals: 0,
            refused: Vec::new(),
        }
    }

    /// Decides. `networks` are those that this machine has now, sorted.
    pub fn step(&self, now: i64, networks: &[String]) -> Step {
        let is_paused = now < self.pause_until;
        let is_new = !self.refused.is_empty() && self.refused != networks;
        if networks.is_empty() || (is_paused && !is_new) {
            return Step::Rest;
        }
        let is_in = networks.iter().all(|network| self.let_in.contains(network));
        if !is_in || self.renew_at.is_some_and(|at| at <= now) {
            Step::Add
        } else if self.ask_at <= now {
            Step::Ask
        } else {
            Step::Rest
        }
    }

    /// The networks are let in, until `ends` or until the next reset.
    pub fn is_in(&mut self, now: i64, networks: &[String], ends: Option<i64>) {
        self.let_in = networks.to_vec();
        self.ask_at = now + LOOKS * self.every;
        self.refusals = 0;
        self.refused.clear();
        self.pause_until = 0;
        // Early enough that a question that goes wrong can be asked again, and never at once.
        let early = |ends: i64| min((LOOKS + 1) * self.every, (ends - now) / 2);
        self.renew_at = ends.map(|ends| ends - early(ends));
    }

    /// The entries are gone.
    pub fn is_out(&mut self) {
        self.let_in.clear();
    }

    /// The gate refused. `networks` is empty if it refused the key.
    pub fn was_refused(&mut self, now: i64, networks: &[String]) {
        self.refusals = min(self.refusals + 1, 16);
        self.refused = networks.to_vec();
        let pause = self.every.saturating_mul(1 << self.refusals);
        self.pause_until = now + min(pause, LONGEST_PAUSE);
    }

    /// How long it waits from now, in seconds.
    pub fn pause(&self, now: i64) -> i64 {
        self.pause_until.saturating_sub(now).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn home() -> Vec<String> {
        networks(&["1.2.3.4/32"])
    }

    fn let_in(ends: Option<i64>) -> Schedule {
        let mut schedule = Schedule::new(60);
        assert_eq!(schedule.step(0, &home()), Step::Add);
        schedule.is_in(0, &home(), ends);
        schedule
    }

    #[test]
    fn nothing_happens_while_nothing_changes() {
        let schedule = let_in(None);
        assert_eq!(schedule.step(1, &home()), Step::Rest);
        assert_eq!(schedule.step(899, &home()), Step::Rest);
        assert_eq!(schedule.step(900, &home()), Step::Ask);
    }

    #[test]
    fn another_address_is_added_at_once() {
        let schedule = let_in(None);
        assert_eq!(schedule.step(60, &networks(&["5.6.7.8/32"])), Step::Add);
        let both = networks(&["1.2.3.4/32", "2a05::/64"]);
        assert_eq!(schedule.step(60, &both), Step::Add);
    }

    #[test]
    fn without_a_connection_it_rests() {
        assert_eq!(let_in(None).step(10_000, &[]), Step::Rest);
    }

    #[test]
    fn an_entry_is_renewed_before_it_ends() {
        let schedule = let_in(Some(7200));
        assert_eq!(schedule.step(7200 - 961, &home()), Step::Ask);
        assert_eq!(schedule.step(7200 - 960, &home()), Step::Add);
        let short = let_in(Some(300));
        assert_eq!(short.step(149, &home()), Step::Rest);
        assert_eq!(short.step(150, &home()), Step::Add);
    }

    #[test]
    fn an_entry_that_is_gone_is_added_again() {
        let mut schedule = let_in(None);
        schedule.is_out();
        assert_eq!(schedule.step(901, &home()), Step::Add);
    }

    #[test]
    fn refusals_make_the_pauses_longer_up_to_an_hour() {
        let mut schedule = Schedule::new(60);
        let mut now = 0;
        let pauses: Vec<i64> = (0..8)
            .map(|_| {
                schedule.was_refused(now, &home());
                let pause = schedule.pause(now);
                assert_eq!(schedule.step(now + pause - 1, &home()), Step::Rest);
                now += pause;
                assert_eq!(schedule.step(now, &home()), Step::Add);
                pause
            })
            .collect();
        assert_eq!(pauses, [120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        schedule.is_in(now, &home(), None);
        schedule.was_refused(now, &home());
        assert_eq!(schedule.pause(now), 120);
    }

    #[test]
    fn another_address_ends_the_pause_unless_the_key_was_refused() {
        let other = networks(&["5.6.7.8/32"]);
        let mut schedule = Schedule::new(60);
        schedule.was_refused(0, &home());
        assert_eq!(schedule.step(1, &other), Step::Add);
        schedule.was_refused(0, &[]);
        assert_eq!(schedule.step(1, &other), Step::Rest);
    }
}
