//! The settings of both functions, read once at start. One message reports all mistakes.
//!
//! The caller gives the variables. This module does not read the process's environment.

use std::fmt;
use std::str::FromStr;

use crate::cutoff::is_cutoff_sid;
use crate::document::MANAGED_POLICY_LIMIT;
use crate::target::{Target, TargetKind};

/// What both functions need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is managed: policies first, then roles, in the order of the variables.
    pub targets: Vec<Target>,
    /// A role to assume for targets in its account.
    pub assume_roles: Vec<Target>,
    /// The bucket with baselines, members, grants and the lease.
    pub state_bucket: String,
    /// Which statements are the gate; empty for all that could be.
    pub gate_sids: Vec<String>,
    /// Characters allowed in a trust policy.
    pub trust_policy_limit: usize,
    /// Addresses that are not globally routable are taken too (for local use).
    pub any_address: bool,
    /// Live entries that one member may hold.
    pub max_grants_per_member: usize,
    /// How long after the last add IAM refuses every temporary entry, in hours; 0: never.
    pub cutoff_hours: i64,
    /// The ARN of the SNS topic that is told of every change; `None` without one.
    pub notify_topic: Option<String>,
}

impl Config {
    /// Characters allowed in the document of a target.
    #[must_use]
    pub fn limit(&self, target: &Target) -> usize {
        match target.kind() {
            TargetKind::Policy => MANAGED_POLICY_LIMIT,
            TargetKind::Role => self.trust_policy_limit,
        }
    }

    /// How long a grant counts at most, in seconds; `None` without a cutoff.
    #[must_use]
    pub fn cutoff(&self) -> Option<i64> {
        (self.cutoff_hours > 0).then_some(self.cutoff_hours.saturating_mul(3600))
    }

    /// Reads the settings of reset-policy.
    ///
    /// # Errors
    /// [`Mistakes`], naming everything that is missing or malformed.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(variable);
        let config = reader.config();
        reader.finish(config)
    }
}

/// What add-ip needs to know beside [`Config`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddConfig {
    /// What both functions need.
    pub config: Config,
    /// No member key is asked for.
    pub open_access: bool,
    /// `?ip=` may name another network than the caller's.
    pub explicit_ip: bool,
    /// How much of an IPv6 address identifies a household.
    pub ipv6_prefix_length: u8,
    /// The longest time that a member may ask for, in hours.
    pub max_entry_hours: u64,
    /// When entries end, in words for members; may be empty.
    pub reset_description: String,
    /// The expression of the reset's schedule; may be empty.
    pub reset_schedule: String,
    /// The IANA time zone of that schedule; may be empty.
    pub reset_time_zone: String,
}

impl AddConfig {
    /// Reads the settings of add-ip.
    ///
    /// # Errors
    /// [`Mistakes`], naming everything that is missing or malformed.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(variable);
        let config = Self {
            config: reader.config(),
            open_access: reader.flag("OPEN_ACCESS"),
            explicit_ip: reader.flag("EXPLICIT_IP"),
            ipv6_prefix_length: reader.number("IPV6_PREFIX_LENGTH", 64, 48, 128),
            max_entry_hours: reader.number("MAX_ENTRY_HOURS", 24, 1, 8760),
            reset_description: reader.text("RESET_DESCRIPTION"),
            reset_schedule: reader.text("RESET_SCHEDULE"),
            reset_time_zone: reader.text("RESET_TIME_ZONE"),
        };
        reader.finish(config)
    }
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings are not usable: {}", self.0.join("; "))
    }
}

impl std::error::Error for Mistakes {}

/// Checks that this process runs under Lambda's Runtime API, because its client panics otherwise.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
///
/// # Errors
/// [`Mistakes`], naming what is missing.
pub fn check_runtime(variable: impl Fn(&str) -> Option<String>) -> Result<(), Mistakes> {
    let required = [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    ];
    let missing: Vec<&str> = required.into_iter().filter(|name| variable(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Mistakes(vec![format!(
        "{} missing, run this program as a Lambda function (`make local`)",
        missing.join(", ")
    )]))
}

struct Reader<F> {
    variable: F,
    mistakes: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn new(variable: F) -> Self {
        Self { variable, mistakes: Vec::new() }
    }

    fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(Mistakes(self.mistakes)) }
    }

    fn text(&self, name: &str) -> String {
        (self.variable)(name).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.text(name)
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn choice(&mut self, name: &str, no: &str, yes: &str) -> bool {
        let text = self.text(name);
        if !text.is_empty() && text != no && text != yes {
            self.mistakes.push(format!("{name} is `{text}`, set it to `{yes}` or `{no}`"));
        }
        text == yes
    }

    fn flag(&mut self, name: &str) -> bool {
        self.choice(name, "false", "true")
    }

    fn number<N>(&mut self, name: &str, default: N, least: N, most: N) -> N
    where
        N: FromStr + PartialOrd + fmt::Display + Copy,
    {
        let text = self.text(name);
        if text.is_empty() {
            return default;
        }
        match text.parse() {
            Ok(number) if least <= number && number <= most => number,
            _ => {
                self.mistakes.push(format!(
                    "{name} is `{text}`, set it to a whole number from {least} to {most}"
                ));
                default
            }
        }
    }

    fn arns(&mut self, name: &str, parse: fn(&str) -> Result<Target, String>) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        for arn in self.list(name) {
            match parse(&arn) {
                Ok(target) if targets.contains(&target) => {
                    self.mistakes.push(format!("{name} names `{arn}` twice"))
                }
                Ok(target) => targets.push(target),
                Err(reason) => self.mistakes.push(format!("{name}: {reason}")),
            }
        }
        targets
    }

    fn gate_sids(&mut self) -> Vec<String> {
        let sids = self.list("GATE_SIDS");
        for sid in sids.iter().filter(|sid| is_cutoff_sid(sid)) {
            self.mistakes.push(format!(
                "GATE_SIDS names `{sid}`, which is the cutoff's: name the statement that members are added to"
            ));
        }
        sids
    }

    fn topic(&mut self, name: &str) -> Option<String> {
        let arn = self.text(name);
        if arn.is_empty() {
            return None;
        }
        if !matches!(arn.split(':').collect::<Vec<_>>().as_slice(), ["arn", _, "sns", _, _, topic] if !topic.is_empty())
        {
            self.mistakes.push(format!("{name} is `{arn}`, set it to an ARN like `arn:aws:sns:eu-west-1:111122223333:topic`"));
        }
        Some(arn)
    }

    fn config(&mut self) -> Config {
        if self.list("POLICY_ARNS").is_empty() && self.list("ROLE_ARNS").is_empty() {
            self.mistakes.push(
                "POLICY_ARNS and ROLE_ARNS are both empty, name at least one policy or role"
                    .to_owned(),
            );
        }
        let mut targets = self.arns("POLICY_ARNS", Target::policy);
        targets.extend(self.arns("ROLE_ARNS", Target::role));
        let assume_roles = self.arns("ASSUME_ROLES", Target::role);
        for (index, role) in assume_roles.iter().enumerate() {
            if assume_roles.iter().take(index).any(|earlier| earlier.account() == role.account()) {
                self.mistakes.push(format!(
                    "ASSUME_ROLES names two roles of the account {}",
                    role.account()
                ));
            }
        }
        let state_bucket = self.text("STATE_BUCKET");
        if state_bucket.is_empty() {
            self.mistakes
                .push("STATE_BUCKET is missing, name the bucket that holds the state".to_owned());
        }
        Config {
            targets,
            assume_roles,
            state_bucket,
            gate_sids: self.gate_sids(),
            trust_policy_limit: self.number("TRUST_POLICY_LIMIT", 2048, 1, 65_536),
            any_address: self.choice("ADDRESS_SCOPE", "public", "any"),
            max_grants_per_member: self.number("MAX_GRANTS_PER_MEMBER", 20, 1, 10_000),
            cutoff_hours: self.number("CUTOFF_HOURS", 0, 0, 720),
            notify_topic: self.topic("NOTIFY_TOPIC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const POLICY: &str = "arn:aws:iam::111122223333:policy/gate";

    fn read(pairs: &[(&str, &str)]) -> Result<AddConfig, String> {
        let variables: HashMap<String, String> =
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        AddConfig::read(|name| variables.get(name).cloned())
            .map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn two_variables_are_enough_and_empty_ones_count_as_unset() {
        let unset = read(&[("POLICY_ARNS", POLICY), ("STATE_BUCKET", "b")]).unwrap();
        let empty: Vec<_> = [
            "ROLE_ARNS",
            "ASSUME_ROLES",
            "GATE_SIDS",
            "OPEN_ACCESS",
            "EXPLICIT_IP",
            "ADDRESS_SCOPE",
            "IPV6_PREFIX_LENGTH",
            "MAX_GRANTS_PER_MEMBER",
            "TRUST_POLICY_LIMIT",
            "NOTIFY_TOPIC",
        ]
        .iter()
        .map(|name| (*name, " "))
        .chain([("POLICY_ARNS", POLICY), ("STATE_BUCKET", "b")])
        .collect();
        assert_eq!(read(&empty).unwrap(), unset);
        assert!(!unset.open_access && !unset.explicit_ip && !unset.config.any_address);
        assert_eq!(
            (
                unset.ipv6_prefix_length,
                unset.config.max_grants_per_member,
                unset.config.trust_policy_limit
            ),
            (64, 20, 2048)
        );
    }

    #[test]
    fn targets_keep_the_order_of_the_variables_policies_first() {
        let config = read(&[
            ("ROLE_ARNS", "arn:aws:iam::111122223333:role/b, arn:aws:iam::444455556666:role/a"),
            (
                "POLICY_ARNS",
                "arn:aws:iam::111122223333:policy/z,arn:aws:iam::111122223333:policy/y,",
            ),
            ("STATE_BUCKET", "b"),
            ("OPEN_ACCESS", "true"),
            ("ADDRESS_SCOPE", "any"),
            ("GATE_SIDS", "A, B"),
        ])
        .unwrap();
        let names: Vec<_> = config.config.targets.iter().map(Target::name).collect();
        assert_eq!(names, ["z", "y", "b", "a"]);
        assert_eq!(config.config.gate_sids, ["A", "B"]);
        assert!(config.open_access && config.config.any_address);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let message = read(&[
            ("POLICY_ARNS", "nonsense"),
            ("ROLE_ARNS", "arn:aws:iam::111122223333:role/a,arn:aws:iam::111122223333:role/a"),
            ("ASSUME_ROLES", "arn:aws:iam::111122223333:role/a,arn:aws:iam::111122223333:role/b"),
            ("OPEN_ACCESS", "yes"),
            ("EXPLICIT_IP", "1"),
            ("ADDRESS_SCOPE", "all"),
            ("IPV6_PREFIX_LENGTH", "129"),
            ("MAX_GRANTS_PER_MEMBER", "0"),
            ("TRUST_POLICY_LIMIT", "big"),
            ("NOTIFY_TOPIC", "arn:aws:iam::111122223333:policy/gate"),
        ])
        .unwrap_err();
        for part in [
            "`nonsense`",
            "twice",
            "two roles",
            "STATE_BUCKET",
            "OPEN_ACCESS",
            "EXPLICIT_IP",
            "ADDRESS_SCOPE",
            "48 to 128",
            "MAX_GRANTS_PER_MEMBER",
            "TRUST_POLICY_LIMIT",
            "NOTIFY_TOPIC",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(read(&[("STATE_BUCKET", "b")]).unwrap_err().contains("at least one"));
    }

    #[test]
    fn a_limit_belongs_to_the_kind_of_target() {
        let (policy, role) = (POLICY, "arn:aws:iam::111122223333:role/jump");
        let config = read(&[
            ("POLICY_ARNS", policy),
            ("ROLE_ARNS", role),
            ("STATE_BUCKET", "b"),
            ("TRUST_POLICY_LIMIT", "4096"),
        ]);
        let config = config.unwrap().config;
        let limits: Vec<usize> = config.targets.iter().map(|target| config.limit(target)).collect();
        assert_eq!(limits, [6144, 4096]);
    }

    #[test]
    fn a_cutoff_is_told_in_seconds() {
        let cutoff = |hours: &str| {
            read(&[("POLICY_ARNS", POLICY), ("STATE_BUCKET", "b"), ("CUTOFF_HOURS", hours)])
                .map(|config| config.config.cutoff())
        };
        assert_eq!(cutoff(""), Ok(None));
        assert_eq!(cutoff("0"), Ok(None));
        assert_eq!(cutoff("1"), Ok(Some(3600)));
        assert_eq!(cutoff("720"), Ok(Some(2_592_000)));
        for wrong in ["-1", "721", "1.5"] {
            assert!(cutoff(wrong).unwrap_err().contains("0 to 720"), "{wrong}");
        }
    }

    #[test]
    fn a_program_that_lambda_does_not_run_says_so() {
        let all = ["RUNTIME_API", "FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE"];
        check_runtime(|_| Some("x".to_owned())).unwrap();
        for missing in all.map(|name| format!("AWS_LAMBDA_{name}")) {
            let error = check_runtime(|name| (name != missing).then(|| "x".to_owned()));
            assert!(error.unwrap_err().to_string().contains(&format!("usable: {missing} missing")));
        }
    }
}
