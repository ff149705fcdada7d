//! The deployed stack by its name: its outputs, its parameters and its targets.

use std::collections::BTreeMap;

use allowlist::document::MANAGED_POLICY_LIMIT;
use allowlist::{Target, TargetKind};

use super::Aws;
use super::failure::{code, explain};
use crate::args::{Arn, Place};
use crate::problem::Problem;

/// A deployed stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Its status as CloudFormation names it.
    pub status: String,
    /// The clients.
    pub aws: Aws,
    outputs: BTreeMap<String, String>,
    parameters: BTreeMap<String, String>,
}

impl Stack {
    /// Looks the stack up.
    ///
    /// # Errors
    /// If there is no such stack in this region and account.
    pub async fn find(place: &Place) -> Result<Self, Problem> {
        let aws = Aws::load(place).await;
        let name = &place.stack;
        let missing = || {
            Problem::new(
                "no_stack",
                format!(
                    "there is no stack `{name}` here ({}): name it with --stack, and its region with --region",
                    aws.region
                ),
            )
        };
        let answer = aws.cloudformation.describe_stacks().stack_name(name);
        let answer = match answer.send().await {
            Err(error) if code(&error) == "ValidationError" => return Err(missing()),
            answer => answer.map_err(|e| explain("cloudformation:DescribeStacks", e))?,
        };
        let stack = answer.stacks().first().ok_or_else(missing)?;
        let outputs = stack.outputs().iter().filter_map(|output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        });
        let parameters = stack.parameters().iter().filter_map(|parameter| {
            let value = parameter.parameter_value()?;
            Some((parameter.parameter_key()?.to_owned(), value.to_owned()))
        });
        Ok(Self {
            name: name.clone(),
            status: stack
                .stack_status()
                .map_or_else(String::new, |status| status.as_str().to_owned()),
            outputs: outputs.collect(),
            parameters: parameters.collect(),
            aws: aws.clone(),
        })
    }

    /// An output of the stack.
    ///
    /// # Errors
    /// If it has no such output.
    pub fn output(&self, name: &str) -> Result<&str, Problem> {
        let output = self.outputs.get(name).map(String::as_str);
        output.ok_or_else(|| {
            Problem::new(
                "no_stack",
                format!("the stack `{}` has no output {name}: is it one of ip-gate?", self.name),
            )
        })
    }

    /// A parameter of the stack; empty if it is not set.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn list(&self, parameter: &str) -> impl Iterator<Item = &str> {
        let items = self.parameter(parameter).split(',').map(str::trim);
        items.filter(|item| !item.is_empty())
    }

    /// Which statements are the gate.
    pub fn sids(&self) -> Vec<String> {
        self.list("GateSids").map(str::to_owned).collect()
    }

    /// Characters that IAM allows in the document of a target.
    pub fn limit(&self, kind: TargetKind) -> usize {
        match kind {
            TargetKind::Policy => MANAGED_POLICY_LIMIT,
            TargetKind::Role => self.parameter("TrustPolicyLimit").parse().unwrap_or(2048),
        }
    }

    /// What the stack manages, policies first.
    ///
    /// # Errors
    /// If a parameter holds something other than ARNs.
    pub fn targets(&self) -> Result<Vec<Target>, Problem> {
        let bad = |message: String| Problem::new("bad_parameter", message);
        let policies = self.list("PolicyArns").map(Target::policy);
        let roles = self.list("RoleArns").map(Target::role);
        policies.chain(roles).collect::<Result<_, _>>().map_err(bad)
    }

    /// The target that a command names. If there is only one, it needs no name.
    ///
    /// # Errors
    /// If several could be meant, or none of them has this name.
    pub fn target(&self, arn: &Arn) -> Result<Target, Problem> {
        let mut targets = self.targets()?;
        let known: Vec<&str> = targets.iter().map(Target::arn).collect();
        let known = known.join(", ");
        match &arn.arn {
            Some(arn) => targets.retain(|target| target.arn() == arn),
            None if targets.len() > 1 => {
                return Err(Problem::usage(format!(
                    "several documents are managed, name one with --arn: {known}"
                )));
            }
            None => {}
        }
        targets.pop().ok_or_else(|| {
            let named = arn.arn.as_deref().unwrap_or_default();
            Problem::usage(format!("`{named}` is not managed here: name one of {known}"))
        })
    }

    /// An output that is a URL; on the local stack, as it is reached there.
    ///
    /// # Errors
    /// As [`Stack::output`].
    pub fn url(&self, output: &str) -> Result<String, Problem> {
        let url = self.output(output)?;
        Ok(local_url(url, self.aws.endpoint.as_deref()).unwrap_or_else(|| url.to_owned()))
    }
}

/// The emulator answers for every API at its own port, by the name of the API.
fn local_url(url: &str, endpoint: Option<&str>) -> Option<String> {
    let endpoint: http::Uri = endpoint?.parse().ok()?;
    if !matches!(endpoint.host()?, "127.0.0.1" | "localhost") {
        return None;
    }
    let url: http::Uri = url.parse().ok()?;
    let api = url.host()?.split('.').next()?;
    let port = endpoint.port_u16().unwrap_or(80);
    Some(format!("http://{api}.execute-api.localhost:{port}{}", url.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_rewritten_on_the_local_stack_alone() {
        let url = "https://abc123.execute-api.us-east-1.amazonaws.com/gate/add";
        assert_eq!(
            local_url(url, Some("http://127.0.0.1:4566")).as_deref(),
            Some("http://abc123.execute-api.localhost:4566/gate/add")
        );
        assert_eq!(local_url(url, None), None);
        assert_eq!(local_url(url, Some("https://vpce.example.com")), None);
    }
}
