//! The bookmark: the address of the page and the member's key, `https://….amazonaws.com/gate/#key=…`.
//!
//! It is in a file that only its user can read, or in the environment. It is never on the command
//! line.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::http_client::is_loopback;
use crate::problem::Problem;

/// add-ip looks up no shorter key.
const SHORTEST_KEY: usize = 32;

/// Where the gate is, and whose key opens it.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Bookmark {
    /// The address of the page, with `/` at its end.
    pub url: String,
    /// The same at the other API, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The key.
    pub key: String,
}

/// The key never gets into a message by mistake.
impl fmt::Debug for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bookmark")
            .field("url", &self.url)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

fn bad(reason: &str) -> Problem {
    Problem::new(
        "bad_bookmark",
        format!(
            "this is not a bookmark of an IP gate ({reason}): paste the whole line that the administrator gave you, like `https://….amazonaws.com/gate/#key=…`"
        ),
    )
}

impl Bookmark {
    /// Reads a bookmark.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let (url, key) = text.split_once("#key=").ok_or_else(|| bad("it has no `#key=`"))?;
        Self::new(url, key)
    }

    fn new(url: &str, key: &str) -> Result<Self, Problem> {
        let key = key.trim();
        if key.len() < SHORTEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("its key is too short, or has characters that no key has"));
        }
        Ok(Self { url: page(url.trim())?, peer: None, key: key.to_owned() })
    }

    /// The bookmark of the environment, or else of the file.
    pub fn load() -> Result<Self, Problem> {
        if let Some(bookmark) = Self::from_environment(|name| std::env::var(name).ok())? {
            return Ok(bookmark);
        }
        let path = path()?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Problem::new(
                    "no_bookmark",
                    "no bookmark is kept yet: run `ip-gate login` and paste the one that the administrator gave you",
                ));
            }
            Err(error) => return Err(unusable(&path, &error.to_string())),
        };
        let mode = std::fs::metadata(&path).map(|found| found.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            let reason = "other users can read it: run `chmod 600` on it";
            return Err(unusable(&path, reason));
        }
        serde_json::from_str(&text)
            .map_err(|_| unusable(&path, "it is broken: run `ip-gate login` again"))
    }

    /// Whether the environment names a gate, right or wrong.
    pub fn is_in_environment() -> bool {
        !matches!(Self::from_environment(|name| std::env::var(name).ok()), Ok(None))
    }

    fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Problem> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        if let Some(text) = set("IP_GATE_BOOKMARK") {
            return Self::parse(&text).map(Some);
        }
        match (set("IP_GATE_URL"), set("IP_GATE_KEY")) {
            (Some(url), Some(key)) => Self::new(&url, &key).map(Some),
            (None, None) => Ok(None),
            _ => Err(Problem::new(
                "bad_bookmark",
                "set both IP_GATE_URL and IP_GATE_KEY, or neither",
            )),
        }
    }

    /// Keeps the bookmark in the file.
    pub fn save(&self) -> Result<PathBuf, Problem> {
        let path = path()?;
        let write = || -> std::io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(folder)?;
            // A new file beside it, so that the old one is whole or gone, and never open to others.
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let new = format!("new-{}-{}", std::process::id(), now.as_nanos());
            let new = path.with_extension(new);
            let written = self.write(&new).and_then(|()| std::fs::rename(&new, &path));
            // No half of a key stays behind.
            written.inspect_err(|_| drop(std::fs::remove_file(&new)))
        };
        write().map_err(|error| unusable(&path, &error.to_string()))?;
        Ok(path)
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.sync_all()
    }

    /// Deletes the file; `false` if there is none.
    pub fn forget() -> Result<bool, Problem> {
        let path = path()?;
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unusable(&path, &error.to_string())),
        }
    }
}

fn unusable(path: &Path, reason: &str) -> Problem {
    let path = path.display();
    Problem::new("bad_bookmark", format!("`{path}` cannot be used: {reason}"))
}

fn path() -> Result<PathBuf, Problem> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")));
    let folder = folder.ok_or_else(|| Problem::new("bad_bookmark", "HOME is not set: set it"))?;
    Ok(folder.join("ip-gate").join("bookmark.json"))
}

/// The address of the page: HTTPS, except on this machine itself.
fn page(url: &str) -> Result<String, Problem> {
    let uri: http::Uri = url.parse().map_err(|_| bad("it is no URL"))?;
    let host = uri.host().ok_or_else(|| bad("it has no host"))?;
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_loopback(host) => {}
        _ => return Err(bad("it does not begin with https://")),
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(bad("it has a user name"));
    }
    let path = uri.path().strip_suffix("/add").unwrap_or(uri.path());
    let path = path.trim_end_matches('/');
    let scheme = uri.scheme_str().unwrap_or("https");
    Ok(format!("{scheme}://{authority}{path}/"))
}

/// The other API of the same stack, as the first one names it: another name under the same domain, by the same scheme.
/// The key goes nowhere else.
pub fn peer_page(url: &str, origin: &str) -> Option<String> {
    let (own, peer): (http::Uri, http::Uri) = (url.parse().ok()?, origin.parse().ok()?);
    let domain = |uri: &http::Uri| {
        let authority = uri.authority()?.as_str().to_owned();
        let (name, domain) = authority.split_once('.')?;
        Some((name.to_owned(), domain.to_owned()))
    };
    let ((own_name, own_domain), (peer_name, peer_domain)) = (domain(&own)?, domain(&peer)?);
    let alike = own.scheme() == peer.scheme()
        && own_domain == peer_domain
        && own_domain.starts_with("execute-api.")
        && own_name != peer_name;
    alike.then(|| format!("{}{}", origin.trim_end_matches('/'), own.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_bookmark_is_an_address_and_a_key() {
        let text = format!(" https://a1.execute-api.us-east-1.amazonaws.com/gate/#key={KEY}\n");
        let bookmark = Bookmark::parse(&text).unwrap();
        assert_eq!(bookmark.url, "https://a1.execute-api.us-east-1.amazonaws.com/gate/");
        assert_eq!(bookmark.key, KEY);
        assert!(!format!("{bookmark:?}").contains(KEY));
    }

    #[test]
    fn what_is_no_bookmark_is_refused_without_its_key() {
        for text in [
            "",
            "https://a.example/gate/",
            &format!("http://a.example/gate/#key={KEY}"),
            &format!("https://user@a.example/gate/#key={KEY}"),
            &format!("/gate/#key={KEY}"),
            "https://a.example/gate/#key=short",
            &format!("https://a.example/gate/#key={KEY} x"),
        ] {
            let problem = Bookmark::parse(text).unwrap_err();
            assert_eq!(problem.kind, "bad_bookmark", "{text}");
            assert!(!problem.message.contains(KEY));
        }
    }

    #[test]
    fn the_environment_names_the_page_or_the_url_of_adds() {
        let from = |url: &'static str| {
            let variable = move |name: &str| match name {
                "IP_GATE_URL" => Some(url.to_owned()),
                "IP_GATE_KEY" => Some(KEY.to_owned()),
                _ => None,
            };
            Bookmark::from_environment(variable).unwrap().unwrap().url
        };
        for url in
            ["https://a.example/gate", "https://a.example/gate/", "https://a.example/gate/add"]
        {
            assert_eq!(from(url), "https://a.example/gate/");
        }
        assert_eq!(
            from("http://a1.execute-api.localhost:4566/gate"),
            "http://a1.execute-api.localhost:4566/gate/"
        );
        let half = |name: &str| (name == "IP_GATE_KEY").then(|| KEY.to_owned());
        Bookmark::from_environment(half).unwrap_err();
        assert_eq!(Bookmark::from_environment(|_| None), Ok(None));
    }

    #[test]
    fn a_peer_is_another_api_under_the_same_domain() {
        let url = "https://a1.execute-api.us-east-1.amazonaws.com/gate/";
        assert_eq!(
            peer_page(url, "https://b2.execute-api.us-east-1.amazonaws.com").as_deref(),
            Some("https://b2.execute-api.us-east-1.amazonaws.com/gate/")
        );
        for origin in [
            "*",
            "https://evil.example",
            "https://a1.execute-api.us-east-1.amazonaws.com",
            "http://b2.execute-api.us-east-1.amazonaws.com",
            "https://b2.execute-api.us-east-1.amazonaws.com.evil.example",
        ] {
            assert_eq!(peer_page(url, origin), None, "{origin}");
        }
    }
}
