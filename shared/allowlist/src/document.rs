//! A policy document as lossless JSON: key order, unknown fields, numbers and everything else survive.
//!
//! Knows JSON and IAM's encoding of it; what a statement means is [`crate::gate`]'s business.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Characters that a managed policy may have, white space not counted.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const MANAGED_POLICY_LIMIT: usize = 6144;

/// A policy document. Equality is JSON's: the order of keys does not matter.
///
/// ```
/// use allowlist::Document;
/// let document = Document::parse(r#"{ "Version": "2012-10-17", "Statement": [] }"#)?;
/// assert_eq!(document.render(), r#"{"Version":"2012-10-17","Statement":[]}"#);
/// # Ok::<(), allowlist::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Document(Value);

impl Document {
    /// A document that this crate makes: a JSON object.
    pub(crate) fn new(object: Value) -> Self {
        Self(object)
    }

    /// Reads a document from JSON text.
    ///
    /// # Errors
    /// [`Error::MalformedDocument`] when it is not JSON, not an object, or has a key twice: one of the two would be lost.
    pub fn parse(json: &str) -> Result<Self, Error> {
        let malformed =
            |e: serde_json::Error| Error::MalformedDocument(format!("not valid JSON: {e}"));
        let value: Value = serde_json::from_str(json).map_err(malformed)?;
        if pairs(&value) != pairs_written(json) {
            // The parser has kept one of two keys, or has taken an object for a number: find out which.
            let NoKeyTwice = serde_json::from_str(json).map_err(malformed)?;
            return Err(Error::MalformedDocument(
                "it holds a key that JSON parsers take for a number: remove it".to_owned(),
            ));
        }
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err(Error::MalformedDocument("not a JSON object".to_owned()))
        }
    }

    /// Reads a document as IAM returns it: percent-encoded by RFC 3986 (`+` stays `+`), which the SDK does not decode.
    /// Plain JSON is accepted as well, for emulators.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html>
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn from_iam(text: &str) -> Result<Self, Error> {
        if text.trim_start().starts_with('{') {
            return Self::parse(text);
        }
        let decoded: Cow<'_, str> = percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| Error::MalformedDocument("not UTF-8 after percent-decoding".to_owned()))?;
        Self::parse(&decoded)
    }

    /// The document as minified JSON: what is written to IAM and to a baseline.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.to_string()
    }

    /// The characters that count against IAM's limit. White space between tokens is free there and is not written
    /// here; white space inside strings is counted, to be on the safe side: IAM answers an overrun with the same
    /// error as a sixth version.
    #[must_use]
    pub fn size(&self) -> usize {
        let mut counter = Characters(0);
        // The counter takes everything, and all keys of a document are strings, so this cannot
        // fail.
        let _ = serde_json::to_writer(&mut counter, &self.0);
        counter.0
    }

    /// SHA-256 of the document in lower-case hex, the same for documents that are equal as JSON.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut sorted = self.0.clone();
        sorted.sort_all_objects();
        sha256_hex(sorted.to_string().as_bytes())
    }

    /// The document in the normal form in which trust policies are compared. IAM does not return them as they were
    /// written: it changes the order of lists, writes a list of one as its item and the other way round, and an account
    /// id as the ARN of its root user.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>,
    /// <https://github.com/aws-controllers-k8s/community/issues/2875>
    #[must_use]
    pub fn normal_form(&self) -> Self {
        Self(normalize(&self.0, false))
    }

    /// The JSON.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The JSON, to be changed by the gate alone.
    pub(crate) fn json_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

/// The principals of a trust policy that were deleted: IAM returns their unique ids, and does not take those back.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
#[must_use]
pub fn deleted_principals(document: &Document) -> Vec<String> {
    fn collect(value: &Value, principals: bool, found: &mut Vec<String>) {
        let is_unique_id = |text: &str| {
            text.len() >= 16
                && (text.starts_with("AIDA") || text.starts_with("AROA"))
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                let inside = principals || key == "Principal" || key == "NotPrincipal";
                collect(value, inside, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| collect(item, principals, found)),
            Value::String(text) if principals && is_unique_id(text) => found.push(text.clone()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&document.0, false, &mut found);
    found.sort();
    found.dedup();
    found
}

/// `principals` says whether the value is inside a `Principal` element.
fn normalize(value: &Value, principals: bool) -> Value {
    match value {
        Value::Object(map) => {
            let inside = |key: &str| principals || key == "Principal" || key == "NotPrincipal";
            map.iter().map(|(key, value)| (key.clone(), normalize(value, inside(key)))).collect()
        }
        Value::Array(items) => {
            let mut items: Vec<Value> =
                items.iter().map(|item| normalize(item, principals)).collect();
            if items.iter().all(Value::is_string) {
                items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                items.dedup();
            }
            match <[Value; 1]>::try_from(items) {
                Ok([only]) => only,
                Err(items) => Value::Array(items),
            }
        }
        Value::String(text) if principals => Value::from(account_of_root(text)),
        Value::String(_) | Value::Null => value.clone(),
        Value::Bool(_) | Value::Number(_) => Value::from(value.to_string()),
    }
}

/// `111122223333` for `arn:aws:iam::111122223333:root`; any other principal as it is.
fn account_of_root(principal: &str) -> &str {
    match principal.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "iam", "", account, "root"] => account,
        _ => principal,
    }
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Counts the characters of UTF-8 text.
struct Characters(usize);

impl std::io::Write for Characters {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How many keys all objects have together.
fn pairs(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(pairs).sum(),
        Value::Object(map) => map.len() + map.values().map(pairs).sum::<usize>(),
        _ => 0,
    }
}

/// How many keys stand in JSON text that is known to be well-formed: one before each colon outside of strings.
fn pairs_written(json: &str) -> usize {
    let (mut in_string, mut escaped, mut pairs) = (false, false, 0);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b':' if !in_string => pairs += 1,
            _ => {}
        }
    }
    pairs
}

/// Any JSON in which no object has a key twice.
struct NoKeyTwice;

impl<'de> Deserialize<'de> for NoKeyTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = NoKeyTwice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, _: bool) -> Result<NoKeyTwice, E> {
                Ok(NoKeyTwice)
            }
            fn visit_i64<E>(self, _: i64) -> Result<NoKeyTwice, E> {
                Ok(NoKeyTwice)
            }
            fn visit_u64<E>(self, _: u64) -> Result<NoKeyTwice, E> {
                Ok(NoKeyTwice)
            }
            fn visit_f64<E>(self, _: f64) -> Result<NoKeyTwice, E> {
                Ok(NoKeyTwice)
            }
            fn visit_str<E>(self, _: &str) -> Result<NoKeyTwice, E> {
                Ok(NoKeyTwice)
            }
            fn visit_unit<E>(self) -> Result<NoKeyTwice, E> {
                Ok(NoKeyTwice)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NoKeyTwice, A::Error> {
                while seq.next_element::<NoKeyTwice>()?.is_some() {}
                Ok(NoKeyTwice)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoKeyTwice, A::Error> {
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if seen.contains(&key) {
                        return Err(A::Error::custom(format_args!(
                            "the key `{key}` stands twice in one object"
                        )));
                    }
                    map.next_value::<NoKeyTwice>()?;
                    seen.insert(key);
                }
                Ok(NoKeyTwice)
            }
        }
        deserializer.deserialize_any(Walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_key_order_and_unknown_fields_survive() {
        let text = r#"{"Z":1.0,"A":[1e+400,-0,12345678901234567890123,0.10],"é":null,"n":{"b":true,"a":"\u0001"}}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.render(), text);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"x":[{"y":{"b":1,"c":2,"b":3}}]}"#] {
            let error = Document::parse(text).unwrap_err();
            assert_eq!(error.kind(), "malformed_document");
            assert!(error.to_string().contains("stands twice"), "{error}");
        }
        Document::parse(r#"{"a":{"b":1},"b":{"a":1.5,"b":-2}}"#).unwrap();
        Document::parse(r#"{"a:\\":"\":{\\","b":[":",{"c":":"}]}"#).unwrap();
        Document::parse(r#"{"a":"\\","\u0061":1}"#).unwrap_err();
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for text in ["", "[]", "\"x\"", "{", "null", "{}x"] {
            assert_eq!(Document::parse(text).unwrap_err().kind(), "malformed_document", "{text}");
        }
    }

    #[test]
    fn iams_percent_encoding_is_decoded_and_plus_stays_plus() {
        let document = Document::from_iam("%7B%22a%22%3A%22x+y%20%C3%A9%22%7D").unwrap();
        assert_eq!(document.render(), r#"{"a":"x+y é"}"#);
        assert_eq!(Document::from_iam(r#" {"a":"100%25"}"#).unwrap().render(), r#"{"a":"100%25"}"#);
        assert!(Document::from_iam("%7B%22a%22%3A%22%FF%22%7D").is_err());
    }

    #[test]
    fn size_counts_characters_without_the_white_space_around_tokens() {
        let document = Document::parse("{\n  \"a\": [ \"é\", 1 ]\n}").unwrap();
        assert_eq!(document.size(), r#"{"a":["é",1]}"#.chars().count());
    }

    #[test]
    fn the_key_that_serde_json_takes_for_a_number_is_refused() {
        for text in [
            r#"{"a":{"$serde_json::private::Number":"7"}}"#,
            r#"{"$serde_json::private::Number":"7"}"#,
        ] {
            let error = Document::parse(text).unwrap_err();
            assert_eq!(error.kind(), "malformed_document", "{text}");
        }
    }

    #[test]
    fn a_trust_policy_is_the_same_in_every_form_that_iam_returns() {
        let normal = |text: &str| Document::parse(text).unwrap().normal_form();
        let written = normal(
            r#"{"Statement":[{"Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:user/a"],"Service":["ec2.amazonaws.com"]},"Action":["sts:AssumeRole"],"Condition":{"Bool":{"aws:MultiFactorAuthPresent":true}}}]}"#,
        );
        let returned = normal(
            r#"{"Statement":{"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}},"Principal":{"Service":"ec2.amazonaws.com","AWS":["arn:aws:iam::111122223333:user/a","arn:aws:iam::111122223333:root"]}}}"#,
        );
        assert_eq!((&written, written.sha256()), (&returned, returned.sha256()));
        let other = normal(
            r#"{"Statement":{"Action":"sts:AssumeRole","Principal":{"AWS":"111122223334"}}}"#,
        );
        assert_ne!(written, other);
        let short = r#"{"Principal":{"AWS":"111122223333"}}"#;
        for partition in ["aws", "aws-cn"] {
            let long =
                short.replace("111122223333", &format!("arn:{partition}:iam::111122223333:root"));
            assert_eq!(normal(&long).render(), short);
        }
        let condition = r#"{"Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:root"}}}"#;
        assert_eq!(normal(condition).render(), condition, "only principals have a short form");
    }

    #[test]
    fn a_deleted_principal_is_a_unique_id_where_a_principal_stands() {
        let found = |text: &str| deleted_principals(&Document::parse(text).unwrap());
        let (user, role) = ("AIDAJQABLZS4A3QDU576Q", "AROAJQABLZS4A3QDU576Q");
        for (statement, ids) in [
            (format!(r#"{{"Principal":{{"AWS":"{user}"}}}}"#), vec![user]),
            (format!(r#"{{"NotPrincipal":{{"AWS":["{role}","{user}","{user}"]}}}}"#), vec![user, role]),
            (format!(r#"{{"Sid":"{user}","Condition":{{"StringEquals":{{"aws:userid":"{role}"}}}}}}"#), vec![]),
            (r#"{"Principal":{"AWS":["arn:aws:iam::111122223333:root","ASIAJQABLZS4A3QDU576Q"]}}"#.into(), vec![]),
            (r#"{"Principal":{"AWS":["AIDAJQABLZS4A3Q","aidajqablzs4a3qdu576q","AIDAjqablzs4a3qdu576"]}}"#.into(), vec![]),
            (r#"{"Principal":{"AWS":["AIDAJQABLZS4A3QD"]}}"#.into(), vec!["AIDAJQABLZS4A3QD"]),
            (r#"{"Principal":"*"}"#.into(), vec![]),
        ] {
            assert_eq!(found(&format!(r#"{{"Statement":[{statement}]}}"#)), ids, "{statement}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_json_not_of_the_text() {
        let hash = |text| Document::parse(text).unwrap().sha256();
        assert_eq!(
            hash(r#"{"a":1,"b":{"c":2,"d":3}}"#),
            hash("{ \"b\":{\"d\":3, \"c\":2}, \"a\":1 }")
        );
        assert_ne!(hash(r#"{"a":[1,2]}"#), hash(r#"{"a":[2,1]}"#));
    }
}
