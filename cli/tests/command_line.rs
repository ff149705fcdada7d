//! The program as a person runs it, as far as it needs no AWS: exit codes, the check of documents, the bookmark.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod fake;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A home of one's own for each test.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let folder = format!("ip-gate-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ip-gate"))
            .args(arguments)
            .env_clear()
            .env("HOME", &self.0)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str], input: &str) -> String {
        self.expect_with(code, arguments, input, &[])
    }

    #[track_caller]
    fn expect_with(
        &self,
        code: i32,
        arguments: &[&str],
        input: &str,
        environment: &[(&str, &str)],
    ) -> String {
        let output = self.run(arguments, input, environment);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
        out + &err
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn example(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("examples/policies").join(name).display().to_string()
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let home = Home::new("usage");
    for arguments in [
        &["nonsense"][..],
        &[],
        &["revoke"],
        &["revoke", "nonsense"],
        &["revoke", "1.2.3.4", "--member", "alice"],
        &["member", "add", "a b"],
        &["member", "add", "_open"],
        &["rollback", "5"],
        &["add", "--for", "soon"],
        &["add", "--for", "4m"],
        &["remove", "1.2.3.4", "--all"],
        &["watch", "--every", "0"],
        &["gate", "create"],
        &["gate", "create", "--cidr", "office", "--print"],
        &["gate", "create", "--cidr", "0.0.0.0/0", "--print"],
        &["gate", "create", "--cidr", "1.2.3.4", "--vpc", "vpc-1", "--print"],
        &["gate", "check", "--file", "/nowhere.json"],
    ] {
        home.expect(2, arguments, "");
    }
}

#[test]
fn help_and_version_end_with_0() {
    let home = Home::new("help");
    assert!(home.expect(0, &["--help"], "").contains("Exit status:"));
    assert!(home.expect(0, &["gate", "create", "--help"], "").contains("leaked key"));
    assert!(home.expect(0, &["--version"], "").starts_with("ip-gate "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.expect(0, &["completions", shell], "").contains("rollback"));
    }
}

#[test]
fn every_example_passes_the_check() {
    let home = Home::new("examples");
    let folder = example("gate.json");
    for file in std::fs::read_dir(Path::new(&folder).parent().unwrap()).unwrap() {
        let path = file.unwrap().path().display().to_string();
        let mut arguments = vec!["gate", "check", "--file", &path];
        if path.contains("trust") {
            arguments.push("--trust-policy");
        }
        home.expect(0, &arguments, "");
    }
}

#[test]
fn a_bad_gate_fails_the_check_with_a_remedy() {
    let home = Home::new("bad");
    let path = home.0.join("bad.json").display().to_string();
    let text = std::fs::read_to_string(example("gate.json")).unwrap();
    std::fs::write(&path, text.replace("198.51.100.10/32", "0.0.0.0/0")).unwrap();
    let printed = home.expect(1, &["gate", "check", "--file", &path], "");
    assert!(printed.contains("error: half_a_family") && printed.contains("to do: "), "{printed}");
    let json = home.expect(1, &["--json", "gate", "check", "--file", &path], "");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["status"], "failed");
    assert_eq!(json["targets"][0]["findings"][0]["rule"], "half_a_family");
    assert_eq!(json["targets"][0]["findings"][0]["severity"], "error");
}

/// The environment of an administrator of the account at this endpoint.
fn administrator(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ]
}

/// Runs `gate check` against an account with these trust policies.
#[track_caller]
fn check_stack(code: i32, name: &str, roles: &[(&str, Option<&str>)]) -> String {
    let endpoint = fake::account(roles);
    Home::new(name).expect_with(code, &["gate", "check"], "", &administrator(&endpoint))
}

#[test]
fn a_version_that_goes_away_or_cannot_be_read_hides_no_other() {
    let gate = std::fs::read_to_string(example("gate.json")).unwrap();
    let wider = gate.replace("198.51.100.10/32\"", "198.51.100.10/32\", \"203.0.113.9/32\"");
    let versions = [("v1", None), ("v2", Some(&*gate)), ("v3", Some("[7")), ("v4", Some(&*wider))];
    let endpoint = fake::policy(&versions);
    let printed =
        Home::new("versions").expect_with(0, &["versions"], "", &administrator(&endpoint));
    assert!(!printed.contains("v1 "), "{printed}");
    assert!(printed.contains("not read: "), "{printed}");
    assert!(printed.contains("+ 203.0.113.9/32") && printed.contains("the oldest"), "{printed}");
}

#[test]
fn a_check_of_a_stack_passes_only_what_it_read() {
    let good = std::fs::read_to_string(example("trust-deny.json")).unwrap();
    let printed = check_stack(0, "one", &[("a", Some(&good)), ("b", None)]);
    assert!(printed.contains("warning: not_checked"), "{printed}");
    let printed = check_stack(1, "none", &[("a", None), ("b", None)]);
    assert!(printed.contains("`iam:GetRole` failed: AccessDenied"), "{printed}");
    assert_eq!(printed.trim().lines().count(), 1, "{printed}");
    let printed = check_stack(1, "malformed", &[("a", Some(&good)), ("b", Some("[7"))]);
    assert!(printed.contains("error: malformed_document"), "{printed}");
    let printed = check_stack(1, "empty", &[]);
    assert!(printed.contains("manages no document"), "{printed}");
}

#[test]
fn a_gate_is_printed_as_it_would_be_made() {
    let home = Home::new("print");
    let made = home.run(&["gate", "create", "--cidr", "198.51.100.10", "--print"], "", &[]);
    let example: Value =
        serde_json::from_str(&std::fs::read_to_string(example("gate.json")).unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&made.stdout).unwrap(), example);
    let warnings = String::from_utf8(made.stderr).unwrap();
    assert!(warnings.contains("warning: not_public: `198.51.100.10/32`"), "{warnings}");
    let halves = ["gate", "create", "--print", "--cidr", "0.0.0.0/2", "--cidr", "64.0.0.0/2"];
    assert!(home.expect(2, &halves, "").contains("half of all addresses"));
}

#[test]
fn a_wrong_command_line_is_json_too_where_that_is_asked_for() {
    let home = Home::new("json");
    for arguments in [&["--json", "revoke"][..], &["add", "--for", "soon", "--json"]] {
        let printed: Value = serde_json::from_str(&home.expect(2, arguments, "")).unwrap();
        assert_eq!(printed["error"], "usage");
        assert!(!printed["message"].as_str().unwrap().contains("Usage"), "{printed}");
    }
    let printed = home.expect(0, &["--json", "completions", "bash"], "");
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert!(printed["script"].as_str().unwrap().contains("rollback"));
    let printed = home.expect(0, &["--json", "watch", "--print-unit", "systemd"], "");
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert!(printed["unit"].as_str().unwrap().contains("ExecStart="), "{printed}");
}

#[test]
fn what_a_policy_holds_commands_no_terminal() {
    let home = Home::new("escape");
    let path = home.0.join("escape.json").display().to_string();
    let text = std::fs::read_to_string(example("gate.json")).unwrap();
    std::fs::write(&path, text.replace("198.51.100.10/32", "\\u001b[2Koffice\\u009b1A")).unwrap();
    for json in
        [&["gate", "check", "--file", &path][..], &["--json", "gate", "check", "--file", &path]]
    {
        let printed = home.expect(0, json, "");
        assert!(printed.contains("office"), "{printed}");
        let commands: Vec<char> =
            printed.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert_eq!(commands, [], "{printed:?}");
    }
}

#[test]
fn a_bookmark_that_cannot_be_kept_leaves_no_key_behind() {
    let home = Home::new("full");
    // A folder is where the file is to be.
    let folder = home.0.join(".config/ip-gate/bookmark.json");
    std::fs::create_dir_all(folder.join("x")).unwrap();
    let bookmark = format!("http://127.0.0.1:9/gate/#key={KEY}\n");
    home.expect(1, &["login", "--no-check"], &bookmark);
    let files = std::fs::read_dir(folder.parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1);
}

#[test]
fn login_says_when_the_environment_comes_first() {
    let home = Home::new("first");
    let bookmark = format!("http://127.0.0.1:9/gate/#key={KEY}\n");
    let environment = [("IP_GATE_BOOKMARK", bookmark.as_str())];
    let printed = home.expect_with(0, &["login", "--no-check"], &bookmark, &environment);
    assert!(printed.contains("the environment names a gate too"), "{printed}");
}

#[cfg(unix)]
#[test]
fn a_bookmark_is_kept_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new("login");
    home.expect(1, &["status"], "");
    for wrong in [
        "",
        "https://a.example/gate/",
        "http://a.example/gate/#key=0123456789012345678901234567890123456789",
    ] {
        let printed = home.expect(1, &["login", "--no-check"], wrong);
        assert_eq!(printed.trim().lines().count(), 1, "{printed}");
    }
    let bookmark = format!("http://127.0.0.1:9/gate/#key={KEY}\n");
    let printed = home.expect(0, &["login", "--no-check"], &bookmark);
    assert!(!printed.contains(KEY));
    let file = home.0.join(".config/ip-gate/bookmark.json");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    // Nobody answers there.
    let printed = home.expect(3, &["status"], "");
    assert!(printed.contains("cannot be reached") && !printed.contains(KEY), "{printed}");
    let json = home.expect(3, &["--json", "add"], "");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["error"], "unreachable");

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(home.expect(1, &["status"], "").contains("chmod 600"));
    home.expect(0, &["login", "--forget"], "");
    assert!(home.expect(1, &["status"], "").contains("ip-gate login"));
}

#[test]
fn units_name_the_program_and_its_options() {
    let home = Home::new("unit");
    let systemd = home.expect(0, &["watch", "--for", "2h", "--print-unit", "systemd"], "");
    assert!(systemd.contains("/ip-gate watch --for 2h\n"), "{systemd}");
    let launchd = home.expect(0, &["watch", "--print-unit=launchd"], "");
    assert!(launchd.contains("/ip-gate</string>\n    <string>watch</string>"), "{launchd}");
}

#[test]
fn without_credentials_one_line_says_what_to_do() {
    let home = Home::new("credentials");
    let printed = home.expect(1, &["--region", "us-east-1", "entries"], "");
    assert_eq!(printed.trim().lines().count(), 1, "{printed}");
    assert!(printed.contains("aws sso login"), "{printed}");
}

#[test]
fn without_a_connection_to_aws_it_ends_with_3() {
    let home = Home::new("connection");
    let environment = administrator("http://127.0.0.1:9");
    let printed = home.expect_with(3, &["entries"], "", &environment);
    assert_eq!(printed.trim().lines().count(), 1, "{printed}");
    assert!(printed.contains("check the connection"), "{printed}");
}

#[test]
fn a_profile_gives_the_credentials_and_the_endpoint() {
    let home = Home::new("profile");
    let folder = home.0.join(".aws");
    std::fs::create_dir_all(&folder).unwrap();
    let config = r#"
[profile team]
region = us-east-1
endpoint_url = http://127.0.0.1:9
credential_process = /bin/echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b"}'
[profile sso]
region = us-east-1
sso_session = team
sso_account_id = 111122223333
sso_role_name = Admin
[sso-session team]
sso_region = us-east-1
sso_start_url = https://example.awsapps.com/start
"#;
    std::fs::write(folder.join("config"), config).unwrap();
    home.expect(3, &["--profile", "team", "entries"], "");
    let printed = home.expect(1, &["--profile", "sso", "entries"], "");
    assert!(printed.contains("SSO token") && printed.contains("aws sso login"), "{printed}");
}

/// Everybody who can see the list of processes sees the command line.
#[test]
fn a_key_is_never_an_argument() {
    let home = Home::new("argument");
    let bookmark = format!("https://a.example/gate/#key={KEY}");
    for arguments in [&["login", &bookmark][..], &["add", "--key", KEY], &["status", KEY]] {
        home.expect(2, arguments, "");
    }
}
