//! A document that the functions manage: a customer managed policy, or the trust policy of a role,
//! by its ARN.

use std::fmt;

use crate::document::Document;

/// What kind of document a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// A customer managed policy; it has versions.
    Policy,
    /// A role's trust policy; it has none.
    Role,
}

/// One target, `arn:<partition>:iam::<account>:policy/<path/name>` or `…:role/<path/name>`.
///
/// ```
/// use allowlist::Target;
/// let target = Target::policy("arn:aws:iam::111122223333:policy/gates/office").unwrap();
/// assert_eq!(target.baseline_object(), "baseline/111122223333/policy/gates/office.json");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    arn: String,
    kind: TargetKind,
    account: String,
    path_and_name: String,
}

impl Target {
    /// A customer managed policy. AWS managed policies (account `aws`) cannot be changed and are refused.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the ARN.
    pub fn policy(arn: &str) -> Result<Self, String> {
        Self::parse(arn, TargetKind::Policy, "policy/")
    }

    /// The trust policy of a role.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the ARN.
    pub fn role(arn: &str) -> Result<Self, String> {
        Self::parse(arn, TargetKind::Role, "role/")
    }

    fn parse(arn: &str, kind: TargetKind, resource: &str) -> Result<Self, String> {
        let refuse =
            || format!("`{arn}` is not an ARN like `arn:aws:iam::111122223333:{resource}name`");
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [prefix, partition, "iam", "", account, rest] = parts.as_slice() else {
            return Err(refuse());
        };
        let path_and_name = rest.strip_prefix(resource).ok_or_else(refuse)?;
        let plain = |c: char| c.is_ascii_graphic() && c != ':' && c != '*' && c != '?';
        let well_formed = *prefix == "arn"
            && !partition.is_empty()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && path_and_name.chars().all(plain)
            && path_and_name.split('/').all(|part| !part.is_empty());
        if !well_formed {
            return Err(refuse());
        }
        Ok(Self {
            arn: arn.to_owned(),
            kind,
            account: (*account).to_owned(),
            path_and_name: path_and_name.to_owned(),
        })
    }

    /// The whole ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Policy or role.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        self.kind
    }

    /// The twelve-digit account id.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The name without its path, as the role operations of IAM want it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path_and_name.rsplit('/').next().unwrap_or(&self.path_and_name)
    }

    /// The form in which documents of this target are compared. A trust policy reads back in another order than it was
    /// written in.
    #[must_use]
    pub fn comparable(&self, document: &Document) -> Document {
        match self.kind {
            TargetKind::Policy => document.clone(),
            TargetKind::Role => document.normal_form(),
        }
    }

    /// Whether two documents of this target mean the same. Trust policies do not read back as they were written and are
    /// compared in their normal form, policies as JSON.
    #[must_use]
    pub fn is_same(&self, a: &Document, b: &Document) -> bool {
        match self.kind {
            TargetKind::Policy => a == b,
            TargetKind::Role => a == b || a.normal_form() == b.normal_form(),
        }
    }

    /// The hash of a document of this target, equal for documents that [`Target::is_same`] holds for the same.
    #[must_use]
    pub fn fingerprint(&self, document: &Document) -> String {
        match self.kind {
            TargetKind::Policy => document.sha256(),
            TargetKind::Role => document.normal_form().sha256(),
        }
    }

    /// Where the baseline is kept in the state bucket.
    #[must_use]
    pub fn baseline_object(&self) -> String {
        let kind = match self.kind {
            TargetKind::Policy => "policy",
            TargetKind::Role => "role",
        };
        format!("baseline/{}/{kind}/{}.json", self.account, self.path_and_name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_part_of_the_baselines_key_and_not_of_the_name() {
        let role = Target::role("arn:aws-cn:iam::111122223333:role/team/a/jump").unwrap();
        assert_eq!(role.baseline_object(), "baseline/111122223333/role/team/a/jump.json");
        assert_eq!(
            (role.name(), role.account(), role.kind()),
            ("jump", "111122223333", TargetKind::Role)
        );
    }

    #[test]
    fn what_is_not_such_an_arn_is_refused() {
        for arn in [
            "",
            "x",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws:iam::111122223333:role/x",
            "arn:aws:iam::1111222233:policy/x",
            "arn:aws:iam::111122223333:policy/",
            "arn:aws:iam::111122223333:policy/a//b",
            "arn:aws:s3:::x",
            "arn:aws:iam::111122223333:policy/*",
            "arn:aws:iam:us-east-1:111122223333:policy/x",
            "arn:aws:iam::111122223333:policy/a b",
        ] {
            assert!(Target::policy(arn).unwrap_err().contains(arn), "{arn}");
        }
    }
}
