//! IAM with the administrator's own rights: documents, versions, and where a policy is in use.

use allowlist::{Document, Target, TargetKind, VersionId};
use aws_sdk_iam::Client;
use aws_sdk_iam::types::PolicyUsageType;

use super::failure::{code, explain};
use crate::problem::Problem;

/// IAM.
#[derive(Clone, Debug)]
pub struct Iam(Client);

/// One version of a policy, without its document.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// Its id.
    pub id: VersionId,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Whether it is in force.
    pub is_default: bool,
}

/// Names of users, groups and roles.
#[derive(Clone, Debug, Default)]
pub struct Entities {
    /// Users.
    pub users: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
}

impl Iam {
    /// Wraps a client.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The versions of a policy, oldest first.
    ///
    /// # Errors
    /// [`explain`].
    pub async fn versions(&self, arn: &str) -> Result<Vec<Version>, Problem> {
        let mut pages = self.0.list_policy_versions().policy_arn(arn).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain("iam:ListPolicyVersions", error))?;
            found.extend(page.versions().iter().filter_map(|version| {
                Some(Version {
                    id: version.version_id()?.parse().ok()?,
                    created: version.create_date().map_or(0, |date| date.secs()),
                    is_default: version.is_default_version(),
                })
            }));
        }
        found.sort_by_key(|version| version.id);
        Ok(found)
    }

    /// The document of a version; `None` if it was deleted, as the functions delete old ones.
    ///
    /// # Errors
    /// [`explain`]; what is wrong with the document.
    pub async fn version(&self, arn: &str, id: VersionId) -> Result<Option<Document>, Problem> {
        let call = self.0.get_policy_version().policy_arn(arn).version_id(id.to_string());
        let answer = match call.send().await {
            Err(error) if code(&error) == "NoSuchEntity" => return Ok(None),
            answer => answer.map_err(|error| explain("iam:GetPolicyVersion", error))?,
        };
        let text = answer.policy_version().and_then(|version| version.document());
        Ok(Some(Document::from_iam(text.unwrap_or_default())?))
    }

    /// The document that is in force, and the id of its version; roles have none.
    ///
    /// # Errors
    /// [`explain`]; what is wrong with the document.
    pub async fn in_force(
        &self,
        target: &Target,
    ) -> Result<(Document, Option<VersionId>), Problem> {
        if target.kind() == TargetKind::Policy {
            let versions = self.versions(target.arn()).await?;
            let changing = || {
                let message = format!("`{target}` is being changed: try again");
                Problem::later("unreachable", message)
            };
            let default = versions.iter().find(|version| version.is_default);
            let id = default.map(|version| version.id).ok_or_else(changing)?;
            let document = self.version(target.arn(), id).await?.ok_or_else(changing)?;
            return Ok((document, Some(id)));
        }
        let call = self.0.get_role().role_name(target.name());
        let answer = call.send().await.map_err(|error| explain("iam:GetRole", error))?;
        let role = answer.role();
        if role.map(|role| role.arn()) != Some(target.arn()) {
            return Err(Problem::new(
                "other_account",
                format!("`{target}` is in another account: this command works in the stack's own"),
            ));
        }
        let text = role.and_then(|role| role.assume_role_policy_document());
        Ok((Document::from_iam(text.unwrap_or_default())?, None))
    }

    /// Makes a policy; -> its ARN.
    ///
    /// # Errors
    /// [`explain`].
    pub async fn create_policy(
        &self,
        name: &str,
        path: &str,
        document: &Document,
    ) -> Result<String, Problem> {
        let call = self.0.create_policy().policy_name(name).path(path);
        let call = call.policy_document(document.render());
        let answer = call.send().await.map_err(|error| explain("iam:CreatePolicy", error))?;
        let arn = answer.policy().and_then(|policy| policy.arn());
        Ok(arn.unwrap_or_default().to_owned())
    }

    /// Puts a document in force as a new version.
    ///
    /// # Errors
    /// [`explain`].
    pub async fn create_version(
        &self,
        arn: &str,
        document: &Document,
    ) -> Result<VersionId, Problem> {
        let call = self.0.create_policy_version().policy_arn(arn).set_as_default(true);
        let answer = match call.policy_document(document.render()).send().await {
            Err(error) if code(&error) == "LimitExceeded" => {
                let mut problem = explain("iam:CreatePolicyVersion", error);
                problem.message += "; delete an old version, or take entries off the list";
                return Err(problem);
            }
            answer => answer.map_err(|error| explain("iam:CreatePolicyVersion", error))?,
        };
        let id = answer.policy_version().and_then(|version| version.version_id());
        id.unwrap_or_default().parse().map_err(|error| {
            Problem::new(
                "aws_error",
                format!("`iam:CreatePolicyVersion` named no version: {error}"),
            )
        })
    }

    /// To whom a policy is attached or, with `boundary`, whose permissions boundary it is.
    ///
    /// # Errors
    /// [`explain`].
    pub async fn entities(&self, arn: &str, boundary: bool) -> Result<Entities, Problem> {
        let usage = if boundary {
            PolicyUsageType::PermissionsBoundary
        } else {
            PolicyUsageType::PermissionsPolicy
        };
        let call = self.0.list_entities_for_policy().policy_arn(arn).policy_usage_filter(usage);
        let mut pages = call.into_paginator().send();
        let mut found = Entities::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain("iam:ListEntitiesForPolicy", error))?;
            let users = page.policy_users().iter().filter_map(|user| user.user_name());
            found.users.extend(users.map(str::to_owned));
            let groups = page.policy_groups().iter().filter_map(|group| group.group_name());
            found.groups.extend(groups.map(str::to_owned));
            let roles = page.policy_roles().iter().filter_map(|role| role.role_name());
            found.roles.extend(roles.map(str::to_owned));
        }
        Ok(found)
    }

    /// The users of groups.
    ///
    /// # Errors
    /// [`explain`].
    pub async fn users_of(&self, groups: &[String]) -> Result<Vec<String>, Problem> {
        let mut found = Vec::new();
        for group in groups {
            let mut pages = self.0.get_group().group_name(group).into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| explain("iam:GetGroup", error))?;
                found.extend(page.users().iter().map(|user| user.user_name().to_owned()));
            }
        }
        Ok(found)
    }
}
