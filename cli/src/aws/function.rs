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
        if let Some(problem) = failure(&json, answer.function_error().is_some()) {
            return Err(problem);
        }
        let read = T::deserialize(&json).map_err(|error| unexpected(&error.to_string()))?;
        Ok(Answer { json, read })
    }
}

/// What the function refused or could not do. A reset fails with a function error, so that AWS counts it; everything else
/// with an answer that says so.
fn failure(json: &Value, is_function_error: bool) -> Option<Problem> {
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let (kind, message) = if is_function_error {
        // Lambda's own errors have a dot, such as `Sandbox.Timedout`.
        let own = text("errorType").filter(|kind| !kind.contains('.'));
        (own.unwrap_or("function_failed"), text("errorMessage"))
    } else if matches!(text("status"), Some("refused" | "failed")) {
        (text("error").unwrap_or("refused"), text("message"))
    } else {
        return None;
    };
    let message = message.unwrap_or("the function gave no reason");
    let problem = match kind {
        "busy" | "throttled" => Problem::later(kind, message),
        _ => Problem::new(kind, message),
    };
    let done = json.get("done").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let done = done.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Some(Problem { done, ..problem })
}

fn unexpected(reason: &str) -> Problem {
    Problem::new(
        "unexpected_answer",
        format!(
            "reset-policy answered something else than this program expects ({reason}): deploy the same version of both"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Exit;
    use serde_json::json;

    #[test]
    fn a_failure_has_the_name_and_the_exit_that_its_kind_has() {
        for (json, is_function_error, kind, exit) in [
            (json!({"errorType": "busy", "errorMessage": "m"}), true, "busy", Exit::Later),
            (json!({"errorType": "no_gate", "errorMessage": "m"}), true, "no_gate", Exit::Failed),
            (json!({"errorType": "Sandbox.Timedout"}), true, "function_failed", Exit::Failed),
            (json!({"status": "failed", "error": "throttled"}), false, "throttled", Exit::Later),
            (
                json!({"status": "refused", "error": "no_version"}),
                false,
                "no_version",
                Exit::Failed,
            ),
        ] {
            let problem = failure(&json, is_function_error).unwrap();
            assert_eq!((problem.kind.as_str(), problem.exit), (kind, exit));
        }
        assert_eq!(failure(&json!({"status": "reset"}), false), None);
    }

    #[test]
    fn what_was_done_before_a_failure_is_told() {
        let json = json!({"status": "failed", "error": "no_gate", "message": "m", "done": ["a"]});
        assert_eq!(failure(&json, false).unwrap().done, ["a"]);
    }
}
