//! Members: a file for each key in the state bucket, by the key's hash. The key itself is stored nowhere.

use std::fmt::Write as _;

use allowlist::Member;
use allowlist::grant::member_object;
use allowlist::member_file::{MEMBERS, MemberFile};
use allowlist::time::rfc3339;
use futures_util::future::join_all;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::cuts::Report;
use super::now;
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

/// How many files are read at the same time.
const READS_AT_ONCE: usize = 16;

/// A file under `members/`.
struct KeyFile {
    object: String,
    since: i64,
    /// What is wrong with it, if it is no member's file.
    file: Result<MemberFile, String>,
}

impl KeyFile {
    fn is_of(&self, name: &Member) -> bool {
        self.file.as_ref().is_ok_and(|file| file.name == *name)
    }
}

async fn key_files(stack: &Stack, output: Output) -> Result<Vec<KeyFile>, Problem> {
    let _progress = output.progress("reading the members");
    let listed = stack.objects(MEMBERS).await?;
    let mut found = Vec::new();
    for some in listed.chunks(READS_AT_ONCE) {
        let texts = join_all(some.iter().map(|listed| stack.object(&listed.key))).await;
        for (listed, text) in some.iter().zip(texts) {
            // What was deleted meanwhile is no member.
            let Some(text) = text? else { continue };
            found.push(KeyFile {
                object: listed.key.clone(),
                since: listed.modified,
                file: MemberFile::parse(&text),
            });
        }
    }
    let name = |key: &KeyFile| key.file.as_ref().map_or(String::new(), |f| f.name.to_string());
    found.sort_by_key(|key| (name(key), key.since));
    Ok(found)
}

/// 256 random bits in hex.
fn new_key() -> Result<String, Problem> {
    let mut bytes = [0_u8; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Problem::new("no_randomness", "this machine gives no random numbers"))?;
    Ok(bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

fn end(days: Option<u16>) -> Option<i64> {
    days.map(|days| now() + i64::from(days) * 86_400)
}

/// Makes a member.
pub async fn add(
    stack: &Stack,
    name: &Member,
    days: Option<u16>,
    another_key: bool,
    output: Output,
) -> Outcome {
    let is_known = key_files(stack, output).await?.iter().any(|key| key.is_of(name));
    if is_known && !another_key {
        return Err(Problem::new(
            "already_a_member",
            format!(
                "`{name}` is a member already: give them a new key with `ip-gate member rotate {name}`, or one more with --another-key"
            ),
        ));
    }
    give_key(stack, name, end(days), output).await
}

/// Gives a member a new key, then deletes the old ones: the member is never without a valid key.
pub async fn rotate(stack: &Stack, name: &Member, days: Option<u16>, output: Output) -> Outcome {
    let files = key_files(stack, output).await?;
    let old: Vec<&KeyFile> = files.iter().filter(|key| key.is_of(name)).collect();
    if old.is_empty() {
        return Err(not_a_member(name));
    }
    // The longest membership stays, unless there is a new end.
    let ends = old.iter().filter_map(|key| key.file.as_ref().ok());
    let ends: Option<Vec<i64>> = ends.map(|file| file.expires).collect();
    let expires = end(days).or(ends.and_then(|ends| ends.into_iter().max()));
    if let Some(end) = expires.filter(|end| *end <= now()) {
        let end = rfc3339(end);
        let message =
            format!("the membership of `{name}` ended on {end}: say --days for a new end");
        return Err(Problem::new("membership_ended", message));
    }
    give_key(stack, name, expires, output).await?;
    delete(stack, &old, output).await.map_err(|problem| {
        let message = format!(
            "{problem}. The new key is valid, and old ones still are: run `ip-gate member rotate {name}` again"
        );
        Problem { message, ..problem }
    })?;
    if !output.json {
        output.line(format!("\n{} deleted. The entries of {name} stay.", keys(old.len())));
    }
    Ok(Exit::Done)
}

async fn give_key(stack: &Stack, name: &Member, expires: Option<i64>, output: Output) -> Outcome {
    let key = new_key()?;
    let bookmark = format!("{}#key={key}", stack.url("PageUrl")?);
    let curl = format!("curl -H 'Authorization: Bearer {key}' {}", stack.url("AddUrl")?);
    let file = MemberFile { name: name.clone(), expires };
    {
        let _progress = output.progress("storing the key");
        stack.put(&member_object(&key), file.render()).await?;
    }
    let ends = expires.map(rfc3339);
    let answer = json!({
        "status": "added", "member": name, "expires": ends,
        "key": key, "bookmark": bookmark, "curl": curl,
    });
    output.answer(&answer, || {
        let until = match &ends {
            Some(ends) => format!(" until {ends}"),
            None => String::new(),
        };
        vec![
            format!("{name} is a member{until}. This is shown once; give it to {name} in private:"),
            String::new(),
            format!("  bookmark   {bookmark}"),
            format!("  curl       {curl}"),
            "  ip-gate    `ip-gate login`, and the bookmark at its prompt".to_owned(),
        ]
    });
    Ok(Exit::Done)
}

async fn delete(stack: &Stack, old: &[&KeyFile], output: Output) -> Result<(), Problem> {
    let _progress = output.progress("deleting the old keys");
    for key in old {
        stack.delete(&key.object).await?;
    }
    Ok(())
}

fn not_a_member(name: &Member) -> Problem {
    Problem::new(
        "not_a_member",
        format!("`{name}` is not a member: `ip-gate member list` shows who is"),
    )
}

fn keys(count: usize) -> String {
    format!("{count} key{}", if count == 1 { "" } else { "s" })
}

/// Ends a membership.
pub async fn remove(stack: &Stack, name: &Member, entries: bool, output: Output) -> Outcome {
    let files = key_files(stack, output).await?;
    let old: Vec<&KeyFile> = files.iter().filter(|key| key.is_of(name)).collect();
    if old.is_empty() && !entries {
        return Err(not_a_member(name));
    }
    delete(stack, &old, output).await?;
    let revoked = if entries {
        let _progress = output.progress("taking the entries off");
        let event = json!({ "revoke_member": name });
        Some(stack.invoke::<Report>(&event).await?)
    } else {
        None
    };
    let report = revoked.as_ref().map(|report| &report.json);
    let answer = json!({
        "status": "removed", "member": name, "keys": old.len(), "revoked": report,
    });
    output.answer(&answer, || {
        let mut lines = vec![format!("{name}: {} removed", keys(old.len()))];
        match &revoked {
            Some(report) => lines.extend(report.read.lines(output)),
            None => lines.push(format!(
                "The entries of {name} stay until the next reset; take them off with `ip-gate revoke --member {name}`."
            )),
        }
        lines
    });
    Ok(Exit::Done)
}

/// Lists the members.
pub async fn list(stack: &Stack, output: Output) -> Outcome {
    let files = key_files(stack, output).await?;
    let now = now();
    let members: Vec<_> = files
        .iter()
        .map(|key| {
            let file = key.file.as_ref();
            json!({
                "member": file.ok().map(|file| &file.name),
                "since": rfc3339(key.since),
                "expires": file.ok().and_then(|file| file.expires).map(rfc3339),
                "expired": file.is_ok_and(|file| file.has_expired(now)),
                "object": key.object,
                "problem": file.err(),
            })
        })
        .collect();
    output.answer(&json!({ "members": members }), || {
        if files.is_empty() {
            return vec!["there are no members: make one with `ip-gate member add`".to_owned()];
        }
        let row = |key: &KeyFile| {
            let (name, end) = match &key.file {
                Ok(file) => (file.name.to_string(), ending(file, now, output)),
                Err(reason) => {
                    let text = format!("not a member's file: {reason}");
                    ("?".to_owned(), output.paint(Tone::Bad, &text))
                }
            };
            vec![name, format!("since {}", rfc3339(key.since)), end, key.object.clone()]
        };
        output.table(&files.iter().map(row).collect::<Vec<_>>())
    });
    Ok(Exit::Done)
}

fn ending(file: &MemberFile, now: i64, output: Output) -> String {
    match file.expires {
        None => "no end".to_owned(),
        Some(end) if file.has_expired(now) => {
            output.paint(Tone::Warning, &format!("ended {}", rfc3339(end)))
        }
        Some(end) => format!("until {}", rfc3339(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_256_bits_and_is_new_each_time() {
        let (a, b) = (new_key().unwrap(), new_key().unwrap());
        assert_eq!(a.len(), 64);
        assert!(a.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(a, b);
    }
}
