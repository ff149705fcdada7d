//! The command line: every command with its help and its examples.

use std::path::PathBuf;

use allowlist::{Member, Network, VersionId};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const GENERAL: &str = "\
Examples:
  ip-gate login                    a member keeps the bookmark, once
  ip-gate watch                    and stays let in
  ip-gate member add alice         an administrator makes a member
  ip-gate overview                 and looks how things are

Exit status:
  0  done, or nothing to do
  1  refused or failed; a check found errors; the address is not let in (status)
  2  the command line is wrong
  3  try again later: no connection, or too many requests

Members need no AWS credentials: start with `ip-gate login`.
Administrators use the credentials, the region and AWS_ENDPOINT_URL of their AWS CLI.";

/// The IP gate on the command line, for members (login, add, remove, status, watch) and administrators (all others).
#[derive(Debug, Parser)]
#[command(name = "ip-gate", version, after_help = GENERAL, max_term_width = 100)]
pub struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    pub place: Place,
    #[command(subcommand)]
    pub command: Command,
}

/// Which stack an administrator's command works on.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The name of the stack.
    #[arg(
        long,
        global = true,
        env = "STACK_NAME",
        default_value = "ip-gate",
        help_heading = "Administrators"
    )]
    pub stack: String,
    /// The profile of the AWS configuration.
    #[arg(long, global = true, help_heading = "Administrators")]
    pub profile: Option<String>,
    /// The region of the stack.
    #[arg(long, global = true, help_heading = "Administrators")]
    pub region: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the bookmark that the administrator gave you, for the commands below.
    ///
    /// The program reads it from a prompt or from standard input, never from the command line,
    /// because other programs could see it there. Only you can read the file. Where IP_GATE_BOOKMARK,
    /// or IP_GATE_URL and IP_GATE_KEY, are set in the environment, they come first.
    #[command(after_help = "Examples:\n  ip-gate login\n  ip-gate login < bookmark.txt")]
    Login(Login),
    /// Add this machine's address to the list.
    #[command(after_help = "Examples:\n  ip-gate add\n  ip-gate add --for 2h")]
    Add(Add),
    /// Take this machine's address, or another entry of yours, off the list.
    #[command(
        after_help = "Examples:\n  ip-gate remove\n  ip-gate remove 51.44.71.80/32\n  ip-gate remove --all"
    )]
    Remove(Remove),
    /// Tell whether this machine is let in, until when, and which entries are yours.
    #[command(
        after_help = "Exit status: 0 if it is let in; 1 if it is not, or the key is not valid; 3 if the gate gives no answer\n\nExamples:\n  ip-gate status\n  ip-gate --json status"
    )]
    Status,
    /// Keep this machine let in, until it is stopped.
    ///
    /// It looks every minute whether the address has changed, and every quarter of an hour whether the entry is still
    /// there. It adds the address again when it changed, or when the entry is gone or about to end. When it is refused
    /// it waits longer each time, up to an hour.
    #[command(
        after_help = "Examples:\n  ip-gate watch\n  ip-gate watch --for 2h\n  ip-gate watch --print-unit > ~/.config/systemd/user/ip-gate.service"
    )]
    Watch(Watch),
    /// Members: who may add addresses.
    #[command(subcommand)]
    Member(MemberCommand),
    /// Who is on the list now, why, since when and until when.
    #[command(after_help = "Examples:\n  ip-gate entries\n  ip-gate --json entries")]
    Entries,
    /// The document that every reset goes back to.
    #[command(subcommand)]
    Baseline(BaselineCommand),
    /// Go back to the baseline now.
    #[command(after_help = "Examples:\n  ip-gate reset --dry-run\n  ip-gate reset")]
    Reset(DryRun),
    /// Take entries off the list whose time is over. A schedule does this every quarter of an hour.
    #[command(after_help = "Examples:\n  ip-gate expire --dry-run\n  ip-gate expire")]
    Expire(DryRun),
    /// Take entries off the list before their time.
    #[command(
        after_help = "Examples:\n  ip-gate revoke 51.44.71.80/32\n  ip-gate revoke --member alice --dry-run"
    )]
    Revoke(Revoke),
    /// Publish an older version of a policy again. Its list is the baseline plus all live entries.
    #[command(after_help = "Examples:\n  ip-gate rollback v5 --dry-run\n  ip-gate rollback v5")]
    Rollback(Rollback),
    /// The versions of a policy, each with what it changed against the one before.
    #[command(
        after_help = "Examples:\n  ip-gate versions\n  ip-gate versions --arn arn:aws:iam::111122223333:policy/ip-gate"
    )]
    Versions(Arn),
    /// The gate policy itself: make one, lift it for a while, check it.
    #[command(subcommand)]
    Gate(GateCommand),
    /// The stack at a glance, and what to look at.
    #[command(after_help = "Examples:\n  ip-gate overview\n  ip-gate --stack other overview")]
    Overview,
    /// Print the completions for a shell.
    #[command(
        after_help = "Examples:\n  ip-gate completions bash > ~/.local/share/bash-completion/completions/ip-gate\n  ip-gate completions zsh > ~/.zfunc/_ip-gate"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Args, Debug)]
pub struct Login {
    /// Keep the bookmark without asking the gate whether its key is valid.
    #[arg(long)]
    pub no_check: bool,
    /// Forget the bookmark that is kept.
    #[arg(long)]
    pub forget: bool,
}

#[derive(Args, Clone, Debug)]
pub struct Add {
    /// For how long: 30m, 2h, 1d. Without it the entry stays until the next reset.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<String>,
}

#[derive(Args, Debug)]
pub struct Remove {
    /// One of your entries, if it is not this machine's address.
    #[arg(conflicts_with = "all")]
    pub network: Option<Network>,
    /// All of your entries.
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct Watch {
    #[command(flatten)]
    pub add: Add,
    /// Seconds between two looks at the address. It asks for the entry every fifteenth time.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub every: u16,
    /// Print a systemd user unit or a launchd agent that runs this command, and stop.
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "native")]
    pub print_unit: Option<Unit>,
}

/// What starts programs on a machine.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Unit {
    /// The one of this operating system.
    Native,
    /// A systemd user unit.
    Systemd,
    /// A launchd agent.
    Launchd,
}

#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Make a key, and print the bookmark and the curl line once.
    #[command(
        after_help = "Examples:\n  ip-gate member add alice\n  ip-gate member add ci --days 90"
    )]
    Add {
        /// 1 to 64 letters, digits, dots, dashes and underscores.
        name: Member,
        /// End the membership by itself after so many days.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
        /// One more key for somebody who is a member already.
        #[arg(long)]
        another_key: bool,
    },
    /// Make a new key, then delete the old ones. The entries stay.
    #[command(
        after_help = "Examples:\n  ip-gate member rotate alice\n  ip-gate member rotate alice --days 90"
    )]
    Rotate {
        /// The member.
        name: Member,
        /// End the membership after so many days. Without it the end stays as it is.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
    },
    /// End the membership at once.
    #[command(after_help = "Examples:\n  ip-gate member remove alice --entries")]
    Remove {
        /// The member.
        name: Member,
        /// Take the member's entries off the list as well.
        #[arg(long)]
        entries: bool,
    },
    /// Who is a member, since when and until when.
    #[command(after_help = "Examples:\n  ip-gate member list\n  ip-gate --json member list")]
    List,
}

#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Print the baseline that is stored.
    #[command(
        after_help = "Examples:\n  ip-gate baseline show\n  ip-gate baseline show > now.json"
    )]
    Show(Arn),
    /// Tell whether what is in force could be saved, and what would change.
    #[command(
        after_help = "Examples:\n  ip-gate baseline check\n  ip-gate baseline check --file new.json"
    )]
    Check(Candidate),
    /// Save what is in force, without anybody's temporary entries, or the document of a file.
    #[command(
        after_help = "Examples:\n  ip-gate baseline save\n  ip-gate baseline save --file new.json --yes"
    )]
    Save {
        #[command(flatten)]
        candidate: Candidate,
        /// Do not ask before entries are dropped or statements change.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
pub struct Candidate {
    #[command(flatten)]
    pub target: Arn,
    /// A document instead of what is in force.
    #[arg(long)]
    pub file: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub struct Arn {
    /// The policy or role, if the stack manages several.
    #[arg(long)]
    pub arn: Option<String>,
}

#[derive(Args, Debug)]
pub struct DryRun {
    /// Tell what would be done, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct Revoke {
    /// Addresses or CIDRs.
    #[arg(required_unless_present = "member", conflicts_with = "member")]
    pub networks: Vec<Network>,
    /// All entries of this member.
    #[arg(long)]
    pub member: Option<Member>,
    #[command(flatten)]
    pub dry_run: DryRun,
}

#[derive(Args, Debug)]
pub struct Rollback {
    /// Such as v5; `ip-gate versions` lists them.
    pub version: VersionId,
    #[command(flatten)]
    pub target: Arn,
    #[command(flatten)]
    pub dry_run: DryRun,
}

#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Make a gate for those who have none yet. It is attached to nobody.
    #[command(
        after_help = "Examples:\n  ip-gate gate create --cidr 203.0.113.0/24\n  ip-gate gate create --cidr 203.0.113.0/24 --cidr 2a05:d018::/48 --print"
    )]
    Create(GateCreate),
    /// Let everybody through for a while. The gate closes again by itself.
    #[command(after_help = "Examples:\n  ip-gate gate lift --hours 2")]
    Lift {
        /// For how long, 24 at most: a reset closes the gate anyway.
        #[arg(long)]
        hours: f64,
        #[command(flatten)]
        target: Arn,
    },
    /// Find what is wrong with a gate, why it matters, and what to do.
    #[command(
        after_help = "Exit status: 1 if there are errors; warnings and notes do not count\n\nExamples:\n  ip-gate gate check\n  ip-gate gate check --file examples/policies/gate.json"
    )]
    Check {
        #[command(flatten)]
        target: Arn,
        /// A file with the document. AWS is not asked, so the check does not know where the policy
        /// is in use.
        #[arg(long, conflicts_with = "arn")]
        file: Option<PathBuf>,
        /// The document of the file is a role's trust policy.
        #[arg(long, requires = "file")]
        trust_policy: bool,
    },
}

#[derive(Args, Debug)]
pub struct GateCreate {
    /// A permanent network, such as your office's. Give the option again for more. Name IPv6
    /// networks too: some endpoints of AWS answer by IPv6.
    #[arg(long, required = true, value_name = "NETWORK")]
    pub cidr: Vec<Network>,
    /// The name of the policy.
    #[arg(long, default_value = "ip-gate")]
    pub name: String,
    /// The path of the policy.
    #[arg(long, default_value = "/")]
    pub path: String,
    /// Refuse what AWS services do on a user's behalf, too. Without this flag such calls pass (`BoolIfExists
    /// aws:ViaAWSService`), because CloudFormation, Athena and others call from addresses of their own.
    #[arg(long)]
    pub refuse_services: bool,
    /// Let calls of OpenSearch, DAX, Neptune, MSK, EFS and rds-db:connect through. They come from private addresses,
    /// which no list can name, so the gate refuses them everywhere. Not the default: some of these services also have
    /// public addresses, and a leaked key would reach those from anywhere.
    #[arg(long)]
    pub exempt_data_planes: bool,
    /// Let calls from this VPC through. Give the option again for more. Calls through a VPC
    /// endpoint have no source address, so without this the gate refuses them. With it everybody in
    /// the VPC is let in.
    #[arg(long, value_name = "ID", requires = "vpc_region")]
    pub vpc: Vec<String>,
    /// The region of the VPCs. Ids of VPCs are unique within a region only.
    #[arg(long, value_name = "REGION", requires = "vpc")]
    pub vpc_region: Option<String>,
    /// Print the document and make nothing.
    #[arg(long)]
    pub print: bool,
}

/// Refuses a time that no gate takes. The gate itself checks the longest time.
fn duration(text: &str) -> Result<String, String> {
    allowlist::time::parse_duration(text, i64::MAX)
        .map(|_| text.to_owned())
        .ok_or_else(|| "write it like 30m, 2h or 1d; five minutes at least".to_owned())
}
