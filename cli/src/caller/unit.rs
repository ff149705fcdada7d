//! What starts `watch` when its user logs in: a systemd user unit, or a launchd agent.

use crate::args::{Unit, Watch};
use crate::problem::Problem;

fn is_launchd(kind: Unit) -> bool {
    match kind {
        Unit::Native => cfg!(target_os = "macos"),
        Unit::Systemd => false,
        Unit::Launchd => true,
    }
}

/// The text of the unit.
pub fn text(kind: Unit, arguments: &Watch) -> Result<String, Problem> {
    let program = std::env::current_exe().map_err(|error| {
        Problem::new("no_unit", format!("this program does not know its path: {error}"))
    })?;
    let mut words = vec![program.display().to_string(), "watch".to_owned()];
    if let Some(duration) = &arguments.add.duration {
        words.extend(["--for".to_owned(), duration.clone()]);
    }
    if arguments.every != 60 {
        words.extend(["--every".to_owned(), arguments.every.to_string()]);
    }
    Ok(if is_launchd(kind) { launchd(&words) } else { systemd(&words) })
}

/// How to put it in place.
pub fn how_to_install(kind: Unit) -> &'static str {
    if is_launchd(kind) {
        "save it as ~/Library/LaunchAgents/ip-gate.plist, then run:\n  launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/ip-gate.plist"
    } else {
        "save it as ~/.config/systemd/user/ip-gate.service, then run:\n  systemctl --user enable --now ip-gate"
    }
}

/// <https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html>
fn systemd(words: &[String]) -> String {
    // `%` begins a specifier and `$` a variable; quotation marks keep spaces together.
    let quoted = words.iter().map(|word| {
        let word = word.replace('%', "%%").replace('$', "$$");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-%$".contains(c);
        if word.chars().all(is_plain) {
            word
        } else {
            format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
        }
    });
    let command = quoted.collect::<Vec<_>>().join(" ");
    format!(
        "\
[Unit]
Description=Keep this machine let in through the IP gate

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=60
NoNewPrivileges=yes

[Install]
WantedBy=default.target"
    )
}

/// `man launchd.plist`.
fn launchd(words: &[String]) -> String {
    let escape = |word: &String| {
        let word = word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("    <string>{word}</string>")
    };
    let arguments = words.iter().map(escape).collect::<Vec<_>>().join("\n");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>ip-gate</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>60</integer>
</dict>
</plist>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_and_signs_stay_words() {
        let words = ["/a b/ip-gate", "watch", "100%"].map(str::to_owned);
        assert!(systemd(&words).contains("ExecStart=\"/a b/ip-gate\" watch 100%%\n"));
        let words = ["/a&b/ip-gate", "watch"].map(str::to_owned);
        assert!(launchd(&words).contains("<string>/a&amp;b/ip-gate</string>"));
    }
}
