//! The two APIs of a stack: one answers by IPv4, the other by IPv6 as well. A home with both needs an entry of each.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::Value;

use super::bookmark::{Bookmark, peer_page};
use super::client::{Client, Reply, Unreachable};
use crate::problem::{Exit, Problem};

/// The kind of the problem that there is no answer.
const UNREACHABLE: &str = "unreachable";

/// How often a request is tried that the gate could not do at once.
const TRIES: u64 = 4;

/// The gate, as one member reaches it.
#[derive(Debug)]
pub struct Gate {
    client: Client,
    /// Where it is, and whose key opens it.
    pub bookmark: Bookmark,
}

/// One way to reach the gate, and the network that this machine has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The address of the page.
    pub page: String,
    /// The network.
    pub network: String,
}

/// An answer of success.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The JSON.
    pub json: Value,
}

impl Answer {
    /// A text of the answer; empty if it has none.
    pub fn text(&self, name: &str) -> &str {
        self.json.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A list of the answer; empty if it has none.
    pub fn list(&self, name: &str) -> &[Value] {
        let list = self.json.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }
}

impl Gate {
    /// The gate of the bookmark that is kept.
    pub fn load() -> Result<Self, Problem> {
        Ok(Self::new(Bookmark::load()?))
    }

    /// The gate of a bookmark.
    pub fn new(bookmark: Bookmark) -> Self {
        Self { client: Client::new(&bookmark.url), bookmark }
    }

    /// The ways on which this machine reaches the gate, each network once, and what an API refused. Learns the other
    /// API's address. An API that cannot be reached is no problem while the other one can: few homes have both families.
    ///
    /// # Errors
    /// If there is no way at all.
    pub async fn ways(&mut self) -> Result<(Vec<Way>, Vec<Problem>), Problem> {
        let known = self.bookmark.peer.clone();
        let known = async {
            match &known {
                Some(page) => Some(self.look(page).await),
                None => None,
            }
        };
        let (first, mut second) = join(self.look(&self.bookmark.url), known).await;
        let origin = first.as_ref().ok().and_then(|reply| reply.peer_origin.as_deref());
        let peer = origin.and_then(|origin| peer_page(&self.bookmark.url, origin));
        if let Some(page) = peer.filter(|page| self.bookmark.peer.as_ref() != Some(page)) {
            second = Some(self.look(&page).await);
            self.bookmark.peer = Some(page);
        }
        let mut ways: Vec<Way> = Vec::new();
        let mut problems = Vec::new();
        let pages = [Some(&self.bookmark.url), self.bookmark.peer.as_ref()];
        for (page, reply) in pages.into_iter().zip([Some(first), second]) {
            let (Some(page), Some(reply)) = (page, reply) else {
                continue;
            };
            match network(reply) {
                Ok(network) if ways.iter().all(|way| way.network != network) => {
                    let page = page.clone();
                    ways.push(Way { page, network });
                }
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
        if ways.is_empty() && !problems.is_empty() {
            return Err(problems.swap_remove(0));
        }
        problems.retain(|problem| problem.kind != UNREACHABLE);
        Ok((ways, problems))
    }

    /// One request on every way, all at once. What an API refused instead of naming the network is among the answers.
    ///
    /// # Errors
    /// If there is no way at all.
    pub async fn ask_everywhere(
        &mut self,
        what: &str,
        fields: &[(&str, &str)],
    ) -> Result<Vec<Result<Answer, Problem>>, Problem> {
        let (ways, problems) = self.ways().await?;
        let mut answers = self.ask_on(&ways, what, fields).await;
        answers.extend(problems.into_iter().map(Err));
        Ok(answers)
    }

    /// One request on each of these ways, all at once.
    pub async fn ask_on(
        &self,
        ways: &[Way],
        what: &str,
        fields: &[(&str, &str)],
    ) -> Vec<Result<Answer, Problem>> {
        join_all(ways.iter().map(|way| self.ask(&way.page, what, fields))).await
    }

    async fn look(&self, page: &str) -> Result<Reply, Problem> {
        repeated(|| self.client.look(page)).await
    }

    /// One request on one way, repeated if the gate asks for that.
    ///
    /// # Errors
    /// What the gate refuses, with its own words; or that it cannot be reached.
    pub async fn ask(
        &self,
        page: &str,
        what: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer, Problem> {
        let url = format!("{page}{what}");
        let reply = repeated(|| self.client.post(&url, &self.bookmark.key, fields)).await?;
        Ok(Answer { json: reply.body })
    }
}

/// The reply of success to a request, which is repeated if the gate asks for that.
async fn repeated<F>(request: impl Fn() -> F) -> Result<Reply, Problem>
where
    F: Future<Output = Result<Reply, Unreachable>>,
{
    let mut tried = 1;
    loop {
        let reply = request().await.map_err(|error| unreachable(&error))?;
        if reply.status == 200 && reply.body.is_object() {
            return Ok(reply);
        }
        let problem = refused(&reply);
        if problem.exit != Exit::Later || tried == TRIES {
            return Err(problem);
        }
        let wait = reply.retry_after.unwrap_or(2).clamp(1, 10);
        tokio::time::sleep(Duration::from_secs(wait)).await;
        tried += 1;
    }
}

fn network(reply: Result<Reply, Problem>) -> Result<String, Problem> {
    let reply = reply?;
    let network = reply.body.get("network").and_then(Value::as_str);
    network.map(str::to_owned).ok_or_else(|| refused(&reply))
}

fn unreachable(error: &Unreachable) -> Problem {
    Problem::later(
        UNREACHABLE,
        format!("the gate cannot be reached ({error}): check the connection and try again"),
    )
}

/// What the gate says, in its own words. Answers of others have none.
fn refused(reply: &Reply) -> Problem {
    let text = |name: &str| reply.body.get(name).and_then(Value::as_str);
    let kind = text("error").unwrap_or("gateway_error").to_owned();
    let fallback = format!("HTTP status {}: is this the address of an IP gate?", reply.status);
    let message = text("message").map_or(fallback, str::to_owned);
    match reply.status {
        429 | 500 | 503 | 504 => Problem::later(&kind, message),
        502 if kind == "gateway_error" => Problem::later(&kind, message),
        _ => Problem::new(&kind, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_may_succeed_later_is_told_apart() {
        for (status, body, kind, exit) in [
            (401, json!({"error":"unauthorized","message":"m"}), "unauthorized", Exit::Failed),
            (409, json!({"error":"policy_full","message":"m"}), "policy_full", Exit::Failed),
            (502, json!({"error":"no_gate","message":"m"}), "no_gate", Exit::Failed),
            (502, Value::Null, "gateway_error", Exit::Later),
            (503, json!({"error":"busy","message":"m"}), "busy", Exit::Later),
            (429, json!({"error":"throttled","message":"m"}), "throttled", Exit::Later),
            (404, Value::Null, "gateway_error", Exit::Failed),
        ] {
            let reply = Reply { status, body, retry_after: None, peer_origin: None };
            let problem = refused(&reply);
            assert_eq!((problem.kind.as_str(), problem.exit), (kind, exit), "{status}");
        }
    }
}
