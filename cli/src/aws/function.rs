//! Calls of the function reset-policy, which does what administrators ask for.

use aws_sdk_lambda::primitives::Blob;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::explain;
use super::stack::Stack;
use crate::problem::Problem;

/// An answer of reset-policy: as it was sent, and as it is read.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The JSON.
    pub json: Value,
    /// Its fields.
    pub read: T,
}

impl Stack {
    /// Invokes reset-policy and waits for the answer.
    ///
    /// # Errors
    /// What the function refuses or could not do, with its own words.
    pub async fn invoke<T: DeserializeOwned>(&self, event: &Value) -> Result<Answer<T>, Problem> {
        let function = self.output("ResetFunction")?;
        let answer = self
            .aws
            .lambda
            .invoke()
            .function_name(function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .map_err(|error| explain("lambda:InvokeFunction", error))?;
        let bytes = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        let json: Value = serde_json::from_slice(bytes)
            .map_err(|error| unexpected(&format!("not JSON: {error}")))?;
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        if answer.function_error().is_some() {
            let message = text("errorMessage").unwrap_or("the function gave no reason");
            return Err(Problem::new("function_failed", message));
        }
        if matches!(text("status"), Some("refused" | "failed")) {
            let kind = text("error").unwrap_or("refused");
            let message = text("message").unwrap_or("the function gave no reason");
            let mut problem = Problem::new(kind, message);
            if matches!(kind, "busy" | "throttled") {
                problem = Problem::later(kind, message);
            }
            return Err(problem);
        }
        let read = T::deserialize(&json).map_err(|error| unexpected(&error.to_string()))?;
        Ok(Answer { json, read })
    }
}

fn unexpected(reason: &str) -> Problem {
    Problem::new(
        "unexpected_answer",
        format!(
            "reset-policy answered something else than this program expects ({reason}): deploy the same version of both"
        ),
    )
}
