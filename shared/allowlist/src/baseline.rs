//! The baseline: the document that the nightly reset goes back to, and what it must be to serve as one.

use crate::document::Document;
use crate::error::Error;
use crate::gate::Gate;

/// A document that passed the check.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The document.
    pub document: Document,
    /// Its gate.
    pub gate: Gate,
    /// Entries that do not parse, and so admit nobody.
    pub unparsed: Vec<String>,
}

impl Baseline {
    /// Checks that `document` could be gone back to: a gate is found, its list is not empty, at least one entry
    /// parses, none covers half an address family, and it fits under `limit` characters.
    ///
    /// # Errors
    /// [`Error::BaselineUnusable`] with what is wrong.
    pub fn check(document: Document, sids: &[String], limit: usize) -> Result<Self, Error> {
        let gate =
            Gate::find(&document, sids).map_err(|e| Error::BaselineUnusable(e.to_string()))?;
        let entries = gate.entries(&document);
        let unusable = |reason: String| Err(Error::BaselineUnusable(reason));
        if entries.is_empty() {
            return unusable(
                "its list is empty, put at least one permanent network on it".to_owned(),
            );
        }
        if let Some(wide) = entries
            .iter()
            .find(|entry| entry.network.is_some_and(|n| n.covers_half_a_family()))
        {
            return unusable(format!(
                "`{}` covers half of all addresses or more, take it off the list",
                wide.text
            ));
        }
        let unparsed: Vec<String> = entries
            .iter()
            .filter(|e| e.network.is_none())
            .map(|e| e.text.clone())
            .collect();
        if unparsed.len() == entries.len() {
            return unusable(format!(
                "none of its entries is a network: `{}`",
                unparsed.join("`, `")
            ));
        }
        let size = document.size();
        if size > limit {
            return unusable(format!("it has {size} characters and IAM allows {limit}"));
        }
        Ok(Self {
            document,
            gate,
            unparsed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, limit: usize) -> Result<Baseline, Error> {
        let text = format!(
            r#"{{"Statement":[{{"Effect":"Deny","Condition":{{"NotIpAddress":{{"aws:SourceIp":{list}}}}}}}]}}"#
        );
        Baseline::check(Document::parse(&text).unwrap(), &[], limit)
    }

    #[test]
    fn a_list_with_a_network_serves_and_entries_that_do_not_parse_are_named() {
        assert_eq!(
            check(r#"["1.2.3.4","office"]"#, 6144).unwrap().unparsed,
            ["office"]
        );
        assert!(check(r#""1.2.3.4""#, 6144).unwrap().unparsed.is_empty());
    }

    #[test]
    fn what_could_not_be_gone_back_to_is_refused() {
        for (list, why) in [
            ("[]", "empty"),
            (r#"["office","x"]"#, "none of its entries"),
            (r#"["1.2.3.4","0.0.0.0/0"]"#, "0.0.0.0/0"),
            (r#"["1.2.3.4","::/0"]"#, "::/0"),
            (r#"["1.2.3.4","128.0.0.0/1"]"#, "128.0.0.0/1"),
        ] {
            let error = check(list, 6144).unwrap_err();
            assert_eq!(error.kind(), "baseline_unusable");
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(
            check(r#"["1.2.3.4"]"#, 50)
                .unwrap_err()
                .to_string()
                .contains("50")
        );
        let none = Baseline::check(Document::parse(r#"{"Statement":[]}"#).unwrap(), &[], 6144)
            .unwrap_err();
        assert_eq!(none.kind(), "baseline_unusable");
    }

    #[test]
    fn the_limit_itself_still_fits() {
        let size = check(r#"["1.2.3.4"]"#, 6144).unwrap().document.size();
        check(r#"["1.2.3.4"]"#, size).unwrap();
        check(r#"["1.2.3.4"]"#, size - 1).unwrap_err();
    }
}
