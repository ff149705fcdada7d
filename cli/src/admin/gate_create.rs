//! Makes a gate for administrators who have none yet. The stack never owns the policy, because then
//! CloudFormation and the functions would both write it.

use allowlist::gate_check::{Facts, Finding, Severity, check};
use allowlist::new_gate::NewGate;
use serde_json::{Value, json};

use super::now;
use crate::args::{GateCreate, Place};
use crate::aws::Aws;
use crate::output::Output;
use crate::problem::{Exit, Outcome, Problem};

/// Makes the policy, or prints its document.
pub async fn run(arguments: &GateCreate, place: &Place, output: Output) -> Outcome {
    let gate = NewGate {
        networks: arguments.cidr.clone(),
        refuse_services: arguments.refuse_services,
        exempt_data_planes: arguments.exempt_data_planes,
        vpcs: arguments.vpc.clone(),
        region: arguments.vpc_region.clone(),
    };
    let document = gate.document().map_err(|error| Problem::usage(error.to_string()))?;
    let mut findings = check(&document, &Facts::of_file(now()));
    if let Some(error) = findings.iter().find(|finding| finding.severity == Severity::Error) {
        return Err(Problem::usage(format!("{}: {}", error.reason, error.remedy)));
    }
    findings.retain(|finding| {
        // That is what the flag asks for.
        let is_wanted = arguments.refuse_services && finding.rule == "services_refused";
        finding.severity == Severity::Warning && !is_wanted
    });
    if !output.json {
        for Finding { rule, reason, remedy, .. } in &findings {
            output.hint(format!("warning: {rule}: {reason}; to do: {remedy}"));
        }
    }
    if arguments.print {
        let pretty = serde_json::to_string_pretty(document.json()).unwrap_or_default();
        output.answer(document.json(), || vec![pretty]);
        return Ok(Exit::Done);
    }
    let iam = Aws::load(place).await.iam;
    let arn = {
        let _progress = output.progress("making the policy");
        iam.create_policy(&arguments.name, &arguments.path, &document).await?
    };
    let document: &Value = document.json();
    let answer = json!({
        "status": "created", "arn": arn, "document": document, "warnings": findings,
    });
    output.answer(&answer, || {
        let text = format!(
            "{arn}

It denies everything from elsewhere and is attached to nobody yet. Next:
  1. sam deploy --guided                   with PolicyArns = {arn}   (from source: `make build` first)
  2. ip-gate baseline save                 the document that every reset goes back to
  3. try it on one user before a group:    aws iam attach-user-policy --user-name NAME --policy-arn {arn}
  4. ip-gate gate check                    what is wrong with it, if anything
Keep a way in that it does not guard: the root user, or a break-glass role.
Never attach it to the functions' roles."
        );
        text.lines().map(str::to_owned).collect()
    });
    Ok(Exit::Done)
}
