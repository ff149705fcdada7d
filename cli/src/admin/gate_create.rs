//! Makes a gate for administrators who have none yet. The stack never owns the policy, because then
//! CloudFormation and the functions would both write it.

use allowlist::new_gate::NewGate;
use serde_json::{Value, json};

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
    output.answer(&json!({ "status": "created", "arn": arn, "document": document }), || {
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
