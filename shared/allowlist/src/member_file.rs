//! The file of a member in the state bucket: `{"name":"alice","expires":"2027-01-01T00:00:00Z"}`.
//! The hash of the key is its name.

use serde::{Deserialize, Serialize};

use crate::grant::Member;
use crate::time::{parse_seconds, rfc3339};

/// Where members' files are kept in the state bucket.
pub const MEMBERS: &str = "members/";

/// The content of a member's file.
///
/// ```
/// use allowlist::member_file::MemberFile;
/// let file = MemberFile::parse(r#"{"name":"alice","expires":"2027-01-15T08:00:00Z"}"#).unwrap();
/// assert_eq!(file.expires, Some(1_800_000_000));
/// assert_eq!(file.render(), r#"{"name":"alice","expires":"2027-01-15T08:00:00Z"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberFile {
    /// Whose key it is.
    pub name: Member,
    /// When the membership ends by itself, in seconds since 1970.
    pub expires: Option<i64>,
}

#[derive(Deserialize, Serialize)]
struct Json {
    name: Member,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl MemberFile {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        // serde takes a list for a struct as well.
        if !text.trim_start().starts_with('{') {
            return Err("it is not a JSON object".to_owned());
        }
        let Json { name, expires } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let seconds = |text: String| {
            parse_seconds(&text)
                .ok_or_else(|| "`expires` should be like `2027-01-01T00:00:00Z`".to_owned())
        };
        let expires = expires.map(seconds).transpose()?;
        Ok(Self { name, expires })
    }

    /// The file as JSON.
    #[must_use]
    pub fn render(&self) -> String {
        let json = Json { name: self.name.clone(), expires: self.expires.map(rfc3339) };
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Whether the membership has ended by `now`, in seconds since 1970.
    #[must_use]
    pub fn has_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_is_needed() {
        let file = MemberFile::parse(r#"{"name":"alice","team":"x"}"#).unwrap();
        assert_eq!((file.name.as_str(), file.expires), ("alice", None));
        assert_eq!(file.render(), r#"{"name":"alice"}"#);
        assert!(!file.has_expired(i64::MAX));
    }

    #[test]
    fn what_is_no_file_of_a_member_is_refused() {
        for text in [
            "",
            "{}",
            r#"["alice",null]"#,
            r#"{"name":"alice","name":"bob"}"#,
            r#"{"name":"a b"}"#,
            r#"{"name":"_open"}"#,
            r#"{"name":"a","expires":"soon"}"#,
        ] {
            MemberFile::parse(text).unwrap_err();
        }
    }

    #[test]
    fn a_membership_ends_in_its_second() {
        let file = MemberFile { name: "a".parse().unwrap(), expires: Some(10) };
        assert_eq!((file.has_expired(9), file.has_expired(10)), (false, true));
    }
}
