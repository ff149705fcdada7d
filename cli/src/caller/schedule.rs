//! When `watch` does what: a decision from the time and from what was seen, without a clock and without a network.

use std::cmp::{max, min};
use std::collections::BTreeMap;

/// How many looks at the address pass between two questions for the entry.
const LOOKS: i64 = 15;

/// The longest pause after refusals, in seconds.
const LONGEST_PAUSE: i64 = 3600;

/// What to do now about one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Ask whether its entry is still there.
    Ask,
    /// Add it.
    Add,
}

/// What is known, and when something is due. All times are in seconds since 1970.
///
/// Each network has a state of its own: what is refused on IPv6 holds up nothing on IPv4.
#[derive(Clone, Debug)]
pub struct Schedule {
    every: i64,
    /// The latest time that was seen.
    latest: i64,
    networks: BTreeMap<String, State>,
    /// After the gate refused the key, which no other address mends.
    key: Pause,
}

/// What is known of one network.
#[derive(Clone, Debug, Default)]
struct State {
    is_in: bool,
    /// When to ask for the entry.
    ask_at: i64,
    /// When to add again because the entry ends.
    renew_at: Option<i64>,
    pause: Pause,
}

/// A pause after refusals.
#[derive(Clone, Debug, Default)]
struct Pause {
    /// Nothing is asked for before.
    until: i64,
    /// How often it was refused in a row.
    refusals: u32,
}

impl Pause {
    /// Both APIs refuse a key at the same time: that counts once.
    fn lengthen(&mut self, now: i64, every: i64) {
        if now < self.until {
            return;
        }
        self.refusals = min(self.refusals + 1, 16);
        let pause = every.saturating_mul(1 << self.refusals);
        self.until = now + min(pause, LONGEST_PAUSE);
    }
}

impl Schedule {
    /// A look at the address every so many seconds.
    pub fn new(every: u16) -> Self {
        Self {
            every: i64::from(every),
            latest: 0,
            networks: BTreeMap::new(),
            key: Pause::default(),
        }
    }

    /// Follows the machine's clock. When it was set back, all times of before are worthless: everything is due again.
    pub fn follow(&mut self, now: i64) {
        if now + self.every < self.latest {
            self.networks.clear();
            self.key = Pause::default();
            self.latest = now;
        }
        self.latest = max(self.latest, now);
    }

    /// Decides about a network that this machine has now.
    pub fn step(&self, now: i64, network: &str) -> Step {
        if self.pause(now, Some(network)) > 0 {
            return Step::Rest;
        }
        match self.networks.get(network) {
            Some(state) if state.is_in && state.renew_at.is_none_or(|at| now < at) => {
                if state.ask_at <= now { Step::Ask } else { Step::Rest }
            }
            _ => Step::Add,
        }
    }

    /// A network is let in, until `ends` or until the next reset.
    pub fn is_in(&mut self, now: i64, network: &str, ends: Option<i64>) {
        self.key = Pause::default();
        // Early enough that a question that goes wrong can be asked again, and never at once.
        let early = |ends: i64| min((LOOKS + 1) * self.every, (ends - now) / 2);
        let state = State {
            is_in: true,
            ask_at: now + LOOKS * self.every,
            renew_at: ends.map(|ends| ends - early(ends)),
            pause: Pause::default(),
        };
        self.networks.insert(network.to_owned(), state);
    }

    /// The entry of a network is gone.
    pub fn is_out(&mut self, network: &str) {
        self.networks.remove(network);
    }

    /// The gate refused a network, or the key where none is named.
    pub fn was_refused(&mut self, now: i64, network: Option<&str>) {
        let every = self.every;
        let pause = match network {
            Some(network) => &mut self.networks.entry(network.to_owned()).or_default().pause,
            None => &mut self.key,
        };
        pause.lengthen(now, every);
    }

    /// How long nothing is asked for a network, or with the key where none is named, in seconds from now.
    pub fn pause(&self, now: i64, network: Option<&str>) -> i64 {
        let state = network.and_then(|network| self.networks.get(network));
        let until = state.map_or(0, |state| state.pause.until);
        max(until, self.key.until).saturating_sub(now).max(0)
    }

    /// Forgets networks that this machine has no more. A network that is back soon is no new one.
    pub fn keep(&mut self, now: i64, networks: &[&str]) {
        self.networks.retain(|network, state| {
            networks.contains(&network.as_str()) || now < max(state.ask_at, state.pause.until)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "1.2.3.4/32";
    const CAFE: &str = "5.6.7.8/32";
    const IPV6: &str = "2a05:d018::/64";

    fn let_in(ends: Option<i64>) -> Schedule {
        let mut schedule = Schedule::new(60);
        assert_eq!(schedule.step(0, HOME), Step::Add);
        schedule.is_in(0, HOME, ends);
        schedule
    }

    #[test]
    fn nothing_happens_while_nothing_changes() {
        let schedule = let_in(None);
        assert_eq!(schedule.step(1, HOME), Step::Rest);
        assert_eq!(schedule.step(899, HOME), Step::Rest);
        assert_eq!(schedule.step(900, HOME), Step::Ask);
    }

    #[test]
    fn another_address_is_added_at_once() {
        let schedule = let_in(None);
        assert_eq!(schedule.step(60, CAFE), Step::Add);
        assert_eq!(schedule.step(60, IPV6), Step::Add);
        assert_eq!(schedule.step(60, HOME), Step::Rest);
    }

    #[test]
    fn an_entry_is_renewed_before_it_ends() {
        let schedule = let_in(Some(7200));
        assert_eq!(schedule.step(7200 - 961, HOME), Step::Ask);
        assert_eq!(schedule.step(7200 - 960, HOME), Step::Add);
        let short = let_in(Some(300));
        assert_eq!(short.step(149, HOME), Step::Rest);
        assert_eq!(short.step(150, HOME), Step::Add);
    }

    #[test]
    fn an_entry_that_is_gone_is_added_again() {
        let mut schedule = let_in(None);
        schedule.is_out(HOME);
        assert_eq!(schedule.step(901, HOME), Step::Add);
    }

    #[test]
    fn refusals_make_the_pauses_longer_up_to_an_hour() {
        for network in [Some(HOME), None] {
            let mut schedule = Schedule::new(60);
            let mut now = 0;
            let pauses: Vec<i64> = (0..8)
                .map(|_| {
                    schedule.was_refused(now, network);
                    schedule.was_refused(now, network);
                    let pause = schedule.pause(now, network);
                    assert_eq!(schedule.step(now + pause - 1, HOME), Step::Rest);
                    now += pause;
                    assert_eq!(schedule.step(now, HOME), Step::Add);
                    pause
                })
                .collect();
            assert_eq!(pauses, [120, 240, 480, 960, 1920, 3600, 3600, 3600]);
            schedule.is_in(now, HOME, None);
            schedule.was_refused(now, network);
            assert_eq!(schedule.pause(now, network), 120);
        }
    }

    #[test]
    fn a_network_that_is_refused_holds_up_no_other() {
        let mut schedule = let_in(None);
        schedule.was_refused(0, Some(IPV6));
        assert_eq!(schedule.step(119, IPV6), Step::Rest);
        assert_eq!(schedule.step(120, IPV6), Step::Add);
        assert_eq!(schedule.step(1, CAFE), Step::Add);
        assert_eq!(schedule.step(120, HOME), Step::Rest, "it is let in, whatever the other one is");
        assert_eq!(schedule.step(900, HOME), Step::Ask);
        schedule.is_in(900, HOME, None);
        schedule.was_refused(900, Some(IPV6));
        assert_eq!(schedule.pause(900, Some(IPV6)), 240, "the other's success is not its own");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_everything_due() {
        let mut schedule = let_in(None);
        schedule.follow(32_400);
        schedule.is_in(32_400, HOME, None);
        schedule.was_refused(32_400, Some(IPV6));
        schedule.follow(32_390);
        assert_eq!(schedule.step(32_390, HOME), Step::Rest, "a second more or less is nothing");
        schedule.follow(60);
        assert_eq!((schedule.step(60, HOME), schedule.step(60, IPV6)), (Step::Add, Step::Add));
    }

    #[test]
    fn a_key_that_is_refused_holds_up_every_network() {
        let mut schedule = let_in(None);
        schedule.was_refused(900, None);
        for network in [HOME, CAFE] {
            assert_eq!(schedule.step(901, network), Step::Rest);
        }
        assert_eq!(schedule.step(1020, HOME), Step::Ask);
    }

    #[test]
    fn a_network_that_is_back_soon_is_no_new_one() {
        let mut schedule = let_in(None);
        schedule.was_refused(0, Some(IPV6));
        schedule.keep(60, &[CAFE]);
        assert_eq!((schedule.step(60, HOME), schedule.step(60, IPV6)), (Step::Rest, Step::Rest));
        schedule.keep(900, &[HOME]);
        assert_eq!(schedule.step(900, HOME), Step::Ask);
        schedule.keep(900, &[CAFE]);
        assert_eq!(schedule.step(900, HOME), Step::Add);
    }
}
