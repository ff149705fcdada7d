//! The baseline: the document that the nightly reset goes back to, and the checks that it must
//! pass.

use serde_json::Value;

use crate::cutoff::without_cutoff;
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
    /// Checks that a reset could go back to `document`: it has a gate, its list is not empty, at
    /// least one entry parses, none covers half an address family, and it has at most `limit`
    /// characters.
    ///
    /// # Errors
    /// [`Error::BaselineUnusable`] with what is wrong.
    pub fn check(document: Document, sids: &[String], limit: usize) -> Result<Self, Error> {
        let document = without_cutoff(&document);
        let gate =
            Gate::find(&document, sids).map_err(|e| Error::BaselineUnusable(e.to_string()))?;
        let entries = gate.entries(&document);
        let unusable = |reason: String| Err(Error::BaselineUnusable(reason));
        if entries.is_empty() {
            return unusable(
                "its list is empty, put at least one permanent network on it".to_owned(),
            );
        }
        if let Some(wide) =
            entries.iter().find(|entry| entry.network.is_some_and(|n| n.covers_half_a_family()))
        {
            return unusable(format!(
                "`{}` covers half of all addresses or more, take it off the list",
                wide.text
            ));
        }
        let unparsed: Vec<String> =
            entries.iter().filter(|e| e.network.is_none()).map(|e| e.text.clone()).collect();
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
        Ok(Self { document, gate, unparsed })
    }
}

/// The statements in which two documents differ, their lists of addresses left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementDifference {
    /// Statements that only the first document has.
    pub removed: Vec<Value>,
    /// Statements that only the second document has.
    pub added: Vec<Value>,
}

/// Compares the statements of two documents. A statement that was changed is among both.
#[must_use]
pub fn statement_difference(
    before: &Document,
    after: &Document,
    sids: &[String],
) -> StatementDifference {
    let statements = |document: &Document| -> Vec<Value> {
        let document = without_cutoff(document);
        let gate = Gate::find(&document, sids);
        let rest = gate.map_or_else(|_| document.clone(), |gate| gate.rest(&document));
        match rest.json().get("Statement") {
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        }
    };
    let (before, after) = (statements(before), statements(after));
    let only = |these: &[Value], others: &[Value]| {
        these.iter().filter(|statement| !others.contains(statement)).cloned().collect()
    };
    StatementDifference { removed: only(&before, &after), added: only(&after, &before) }
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
    fn entries_that_do_not_parse_are_named() {
        assert_eq!(check(r#"["1.2.3.4","office"]"#, 6144).unwrap().unparsed, ["office"]);
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
        assert!(check(r#"["1.2.3.4"]"#, 50).unwrap_err().to_string().contains("50"));
        let none = Baseline::check(Document::parse(r#"{"Statement":[]}"#).unwrap(), &[], 6144)
            .unwrap_err();
        assert_eq!(none.kind(), "baseline_unusable");
    }

    #[test]
    fn statements_that_are_new_gone_or_changed_are_named() {
        let document = |action: &str, list: &str, more: &str| {
            let text = format!(
                r#"{{"Statement":[{{"Effect":"Deny","Action":"{action}","Condition":{{"NotIpAddress":{{"aws:SourceIp":{list}}}}}}}{more}]}}"#
            );
            Document::parse(&text).unwrap()
        };
        let before = document("*", r#"["1.2.3.4"]"#, "");
        let same = document("*", r#"["5.6.7.8"]"#, "");
        assert_eq!(statement_difference(&before, &same, &[]), StatementDifference::default());
        let wider = document(
            "s3:*",
            r#"["1.2.3.4"]"#,
            r#",{"Effect":"Allow","Action":"*","Resource":"*"}"#,
        );
        let changed = statement_difference(&before, &wider, &[]);
        assert_eq!((changed.removed.len(), changed.added.len()), (1, 2));
        assert_eq!(changed.added[1]["Effect"], "Allow");
    }

    #[test]
    fn the_limit_itself_still_fits() {
        let size = check(r#"["1.2.3.4"]"#, 6144).unwrap().document.size();
        check(r#"["1.2.3.4"]"#, size).unwrap();
        check(r#"["1.2.3.4"]"#, size - 1).unwrap_err();
    }
}
