//! Lets a caller's network through the IP gate: a REST proxy event in, an answer out.
//!
//! The checks come in a fixed order (route, method, prefetch, key, `?ip=`, address, AWS), so that a stranger learns
//! nothing and costs two reads of S3 at most.

pub mod cross_site;
pub mod event;
pub mod http;
pub mod page;

use std::time::{Duration, SystemTime};

use allowlist::grant::member_object;
use allowlist::notice::{Addition, Notice};
use allowlist::{AddConfig, Error, Member, Network};
use allowlist_aws::aws::Aws;
use allowlist_aws::aws::lease::Reading;
use allowlist_aws::aws::state::rfc3339;
use allowlist_aws::flow::add::{Added, Applied, Failed, Outcome, add, authenticate};
use allowlist_aws::flow::holder::Finish;
use allowlist_aws::flow::status::{Status, status};
use allowlist_aws::flow::{Invocation, time_until};
use futures_util::future::join;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use tokio::time::Instant;

use cross_site::Decision;
use event::Event;
use http::{Answer, Refusal, Response};

/// API Gateway gives up after 29 s: every answer must be on its way before that.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const LONGEST: Duration = Duration::from_secs(27);

/// What is kept back of the function's time to give the lease back and answer.
const RESERVE: Duration = Duration::from_millis(1500);

/// What the function keeps from one invocation to the next.
#[derive(Debug)]
pub struct Deps {
    /// The settings.
    pub config: AddConfig,
    /// The clients.
    pub aws: Aws,
}

/// Handles one event. What is returned beside the answer is to be run after the answer was sent.
pub async fn handle(event: LambdaEvent<Value>, deps: &Deps) -> (Response, Option<Box<Finish>>) {
    let LambdaEvent { payload, context } = event;
    let event = Event::read(&payload.to_string());
    let call = Invocation {
        aws: &deps.aws,
        config: &deps.config.config,
        request_id: &context.request_id,
        deadline: Instant::now()
            + time_until(SystemTime::now(), context.deadline, RESERVE, LONGEST),
    };
    let hosting = page::Hosting::default();
    let settings = page::Settings {
        reset_description: deps.config.reset_description.clone(),
        max_entry_hours: 24,
        ..page::Settings::default()
    };
    let request = http::Request::new(&event, &hosting, &settings);
    match admit(call, &event, &request, &deps.config).await {
        Ok(Admitted::Root) => {
            let network = network(&event, &deps.config).ok().map(String::from);
            (request.root(network.as_deref()), None)
        }
        Ok(Admitted::Page) => (request.page(), None),
        Ok(Admitted::Answer(answer, finish)) => (answer.respond(&request), finish),
        Err(Rejected::Refusal(refusal)) => {
            tracing::warn!(
                outcome = refusal.kind(),
                source.ip = event.source_ip(),
                "refused"
            );
            (refusal.answer().respond(&request), None)
        }
        Err(Rejected::Failure(failure)) => {
            report(&failure);
            tell(call, &failure.failed.written, None).await;
            let written = &failure.failed.written;
            let targets = if written.is_empty() {
                Value::Null
            } else {
                targets(written)
            };
            let answer = Answer::failed(&failure.failed.error, targets);
            (answer.respond(&request), None)
        }
    }
}

enum Rejected {
    Refusal(Refusal),
    Failure(Box<Failure>),
}

/// A failure with what is known of the caller, for the log.
struct Failure {
    failed: Failed,
    member: Option<Member>,
    network: Option<Network>,
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        Self::Failure(Box::new(Failure {
            failed: error.into(),
            member: None,
            network: None,
        }))
    }
}

enum Admitted {
    Root,
    Page,
    Answer(Answer, Option<Box<Finish>>),
}

async fn admit(
    call: Invocation<'_>,
    event: &Event,
    request: &http::Request<'_>,
    config: &AddConfig,
) -> Result<Admitted, Rejected> {
    let (resource, method) = (event.resource(), event.method());
    let methods = match resource {
        "/" => "GET",
        "/add" | "/status" => "GET, POST",
        _ => return Err(Refusal::NotFound.into()),
    };
    if !methods.split(", ").any(|allowed| allowed == method) {
        return Err(Refusal::MethodNotAllowed(methods).into());
    }
    if resource == "/" {
        return Ok(Admitted::Root);
    }
    if event.is_prefetch() {
        return Err(Refusal::Prefetch.into());
    }
    match request.decision() {
        Decision::Act => {}
        Decision::ShowPage => return Ok(Admitted::Page),
        Decision::Refuse => return Err(Refusal::CrossSite.into()),
    }
    let (member, reading) = identify(call, event, config).await?;
    let network = network(event, config)?;
    let failed = |failed: Failed, member: Option<Member>| {
        Rejected::Failure(Box::new(Failure {
            failed,
            member,
            network: Some(network),
        }))
    };
    let reading = match reading {
        Ok(reading) => reading,
        Err(error) => return Err(failed(error.into(), member)),
    };
    if resource == "/status" {
        let status = status(call, &reading, &network)
            .await
            .map_err(|error| failed(error.into(), member))?;
        return Ok(Admitted::Answer(describe(&network, &status), None));
    }
    let applied = Applied {
        network,
        member,
        max_grants: config.max_grants_per_member,
    };
    match add(call, reading, &applied).await {
        Ok(added) => Ok(answer(call, &applied, added).await),
        Err(error) => Err(failed(error, applied.member)),
    }
}

fn describe(network: &Network, status: &Status) -> Answer {
    let granted_at = status.granted_at.map(rfc3339);
    Answer::ok(
        json!({ "network": network, "allowed": status.allowed, "granted_at": granted_at, "members": status.members }),
    )
}

/// Who asks. The lease is read at the same time.
async fn identify(
    call: Invocation<'_>,
    event: &Event,
    config: &AddConfig,
) -> Result<(Option<Member>, Result<Reading, Error>), Rejected> {
    let key = event.key();
    if key.is_none() && !config.open_access {
        return Err(Refusal::Unauthorized.into());
    }
    let object = key.as_deref().map(member_object);
    let (member, reading) = match authenticate(call, object.as_deref()).await {
        // A file that names nobody lets nobody in; the administrator reads why in the log.
        Err(error @ Error::State { .. }) => {
            tracing::error!(error = error.chain(), "a member's file cannot be used");
            return Err(Refusal::Unauthorized.into());
        }
        answer => answer?,
    };
    if member.is_none() && !config.open_access {
        return Err(Refusal::Unauthorized.into());
    }
    Ok((member, reading))
}

/// The network that is asked for.
fn network(event: &Event, config: &AddConfig) -> Result<Network, Rejected> {
    let network = match event.parameter("ip") {
        Some(_) if !config.explicit_ip => return Err(Refusal::ExplicitIpDisabled.into()),
        Some(text) => match text.parse() {
            Ok(address) => Network::of_caller(address, config.ipv6_prefix_length),
            Err(_) => text.parse()?,
        },
        None => {
            let source = event.source_ip().ok_or(Refusal::NoAddress)?;
            let address = source
                .parse()
                .map_err(|_| Error::BadIp(source.to_owned()))?;
            Network::of_caller(address, config.ipv6_prefix_length)
        }
    };
    network.check_width()?;
    if !config.any_address {
        network.check_public()?;
    }
    Ok(network)
}

async fn answer(call: Invocation<'_>, applied: &Applied, added: Added) -> Admitted {
    let word = added.change().word();
    let member = applied.member.as_ref().map(Member::to_string);
    for outcome in &added.targets {
        tracing::info!(
            outcome = outcome.change.word(),
            member,
            source.network = %applied.network,
            policy.arn = outcome.arn,
            policy.version = outcome.version.map(String::from),
            percent_full = outcome.percent_full,
            listed = (!outcome.listed.is_empty()).then(|| listed(&outcome.listed)),
            "answered"
        );
    }
    let targets = targets(&added.targets);
    let body =
        json!({ "status": word, "network": applied.network, "member": member, "targets": targets });
    let finish = tell(call, &added.targets, added.finish).await;
    Admitted::Answer(Answer::ok(body), finish.map(Box::new))
}

/// What was done on each target, as answers show it.
fn targets(outcomes: &[Outcome]) -> Value {
    let one = |outcome: &Outcome| json!({ "arn": outcome.arn, "status": outcome.change.word(), "version": outcome.version });
    outcomes.iter().map(one).collect()
}

/// Every entry that a version put on the list, each with its members.
fn listed(entries: &[Addition]) -> String {
    let entry = |Addition { network, members }: &Addition| {
        let names: Vec<String> = members.iter().map(Member::to_string).collect();
        if names.is_empty() {
            network.clone()
        } else {
            format!("{network} ({})", names.join(", "))
        }
    };
    entries.iter().map(entry).collect::<Vec<_>>().join(" ")
}

/// Tells the topic, where there is one, of every version that was written. What is left to do is done meanwhile, so
/// that nobody waits for the lease until the topic has answered.
async fn tell(
    call: Invocation<'_>,
    outcomes: &[Outcome],
    finish: Option<Finish>,
) -> Option<Finish> {
    let notices: Vec<Notice<'_>> = outcomes
        .iter()
        .filter(|outcome| !outcome.listed.is_empty())
        .map(|outcome| notice(call, outcome))
        .collect();
    if notices.is_empty() || call.aws.topic.is_none() {
        return finish;
    }
    join(call.tell(&notices), async {
        if let Some(finish) = finish {
            finish.run_and_log().await;
        }
    })
    .await;
    None
}

fn notice<'a>(call: Invocation<'a>, outcome: &'a Outcome) -> Notice<'a> {
    Notice {
        outcome: outcome.change.word(),
        arn: &outcome.arn,
        version: outcome.version,
        added: outcome.listed.clone(),
        removed: Vec::new(),
        drift: false,
        request: call.request_id,
    }
}

fn report(
    Failure {
        failed: Failed { error, written },
        member,
        network,
    }: &Failure,
) {
    let member = member.as_ref().map(Member::to_string);
    let network = network.map(String::from);
    let written: Vec<&str> = written.iter().map(|outcome| outcome.arn.as_str()).collect();
    if http::status(error.kind()) >= 500 {
        tracing::error!(
            outcome = error.kind(),
            member,
            source.network = network,
            policy.arn = written.join(","),
            error = error.chain(),
            "failed"
        );
    } else {
        tracing::warn!(
            outcome = error.kind(),
            member,
            source.network = network,
            error = error.chain(),
            "refused"
        );
    }
}
