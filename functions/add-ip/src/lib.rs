//! Lets a caller's network through the IP gate: a REST proxy event in, an answer out.
//!
//! The checks come in a fixed order (route, method, prefetch and cross-site, key, `?ip=` and `for`, address, AWS), so
//! that a stranger learns nothing and costs two reads of S3 at most.

pub mod cross_site;
pub mod event;
pub mod http;
pub mod page;
mod report;

use std::time::{Duration, SystemTime};

use allowlist::grant::{GrantKey, member_object};
use allowlist::network::NetworkError;
use allowlist::time::parse_duration;
use allowlist::{AddConfig, Error, Member, Network};
use allowlist_aws::aws::Aws;
use allowlist_aws::aws::lease::StoredLease;
use allowlist_aws::flow::add::add;
use allowlist_aws::flow::lease::Release;
use allowlist_aws::flow::reads::authenticate;
use allowlist_aws::flow::remove::remove;
use allowlist_aws::flow::status::status;
use allowlist_aws::flow::{Context, PartialFailure, time_until};
use tokio::time::Instant;

use cross_site::Decision;
use event::Event;
use http::{Answer, Refusal, Request, Response};
use page::{Hosting, Settings};

/// API Gateway gives up after 29 s: every answer must be on its way before that.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const LONGEST: Duration = Duration::from_secs(26);

/// The part of the function's time that is kept for the answer and for giving the lease back.
const RESERVE: Duration = Duration::from_millis(1500);

/// The shortest key that is looked up. So the hash of an empty variable is nobody's key.
const SHORTEST_KEY: usize = 32;

/// What the function keeps from one invocation to the next.
#[derive(Debug)]
pub struct Deps {
    config: AddConfig,
    aws: Aws,
    hosting: Hosting,
    settings: Settings,
}

impl Deps {
    /// `region` is where the function runs.
    #[must_use]
    pub fn new(config: AddConfig, aws: Aws, region: String) -> Self {
        let settings = Settings {
            reset_description: config.reset_description.clone(),
            reset_schedule: config.reset_schedule.clone(),
            reset_time_zone: config.reset_time_zone.clone(),
            max_entry_hours: config.max_entry_hours,
            open_access: config.open_access,
        };
        Self { config, aws, hosting: Hosting { region }, settings }
    }
}

/// Handles one event, given as JSON text. The caller sends the answer first, and then runs the
/// release beside it.
pub async fn handle(
    payload: &str,
    context: &lambda_runtime::Context,
    deps: &Deps,
) -> (Response, Option<Box<Release>>) {
    let event = Event::read(payload);
    let time = time_until(SystemTime::now(), context.deadline, RESERVE, LONGEST);
    let ctx = Context {
        aws: &deps.aws,
        config: &deps.config.config,
        request_id: &context.request_id,
        deadline: Instant::now() + time,
    };
    let request = Request::new(&event, &deps.hosting, &deps.settings);
    match route(ctx, &event, &request, &deps.config).await {
        Ok(RouteResult::Root) => {
            let network = source_network(&event, &deps.config).ok().map(String::from);
            (request.root(network.as_deref()), None)
        }
        Ok(RouteResult::Page) => (request.page(), None),
        Ok(RouteResult::Answer(answer, release)) => (answer.respond(&request), release),
        Err(Rejection::Refusal(refusal)) => {
            report::refused(&refusal, &event);
            (refusal.answer().respond(&request), None)
        }
        Err(Rejection::Unidentified(error)) => {
            report::unidentified(&error, &event);
            (Answer::failed_for_stranger(error.kind()).respond(&request), None)
        }
        Err(Rejection::Failure(failure, caller)) => {
            report::failed(ctx, &failure, &caller).await;
            let is_stranger = caller.member.is_none() && http::status(failure.kind()) >= 500;
            let told = failure.errors.first().filter(|_| !is_stranger).map(Answer::failed);
            let answer = told.unwrap_or_else(|| Answer::failed_for_stranger(failure.kind()));
            let written = report::targets(&failure.done, caller.word);
            (answer.with_targets(written).respond(&request), None)
        }
    }
}

/// What a request is answered with.
enum RouteResult {
    /// The caller's network, as the page or as JSON.
    Root,
    /// The page with its button.
    Page,
    /// An answer, and what is left to do after it.
    Answer(Answer, Option<Box<Release>>),
}

/// Why a request was not done.
enum Rejection {
    /// It was refused for its form or its key, or for what it asks.
    Refusal(Refusal),
    /// The function could not find out whose key it is.
    Unidentified(Error),
    /// A member's request failed.
    Failure(Box<PartialFailure>, Caller),
}

/// Who asks, and for which network.
#[derive(Clone, Debug)]
struct Caller {
    member: Option<Member>,
    network: Network,
    /// What a change is called that they ask for.
    word: &'static str,
}

impl Caller {
    fn failed(&self, failure: impl Into<PartialFailure>) -> Rejection {
        Rejection::Failure(Box::new(failure.into()), self.clone())
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

async fn route(
    ctx: Context<'_>,
    event: &Event,
    request: &Request<'_>,
    config: &AddConfig,
) -> Result<RouteResult, Rejection> {
    let (resource, method) = (event.resource(), event.method());
    let methods = match resource {
        "/" => "GET",
        "/add" | "/status" => "GET, POST",
        "/remove" => "POST",
        _ => return Err(Refusal::NotFound.into()),
    };
    if !methods.split(", ").any(|allowed| allowed == method) {
        return Err(Refusal::MethodNotAllowed(methods).into());
    }
    if resource == "/" {
        return Ok(RouteResult::Root);
    }
    if event.is_prefetch() {
        return Err(Refusal::Prefetch.into());
    }
    match request.decision() {
        Decision::Act => {}
        Decision::ShowPage => return Ok(RouteResult::Page),
        Decision::Refuse => return Err(Refusal::CrossSite.into()),
    }
    let (member, stored) = identify(ctx, event, config).await?;
    if resource == "/remove" && member.is_none() {
        return Err(Refusal::Unauthorized.into());
    }
    let duration = if resource == "/add" { duration(event, config)? } else { None };
    let word = if resource == "/remove" { "removed" } else { "added" };
    let caller = Caller { member: member.clone(), network: network(event, config)?, word };
    check(caller.network, config).map_err(|error| caller.failed(Error::from(error)))?;
    match (resource, member) {
        ("/status", member) => {
            let status = status(ctx, &stored, &caller.network, member.as_ref()).await;
            let status = status.map_err(|error| caller.failed(error))?;
            Ok(RouteResult::Answer(
                report::status(&caller.network, &status, config.config.cutoff()),
                None,
            ))
        }
        ("/remove", Some(member)) => removal(ctx, event, &caller, &member).await,
        ("/remove", None) => Err(Refusal::Unauthorized.into()),
        (_, member) => {
            let end = duration.map(|seconds| stored.clock.now().saturating_add(seconds));
            let key = GrantKey { network: caller.network, member, end };
            match add(ctx, stored, &key).await {
                Ok(done) => {
                    let ends = report::ends(&key, &config.config, done.granted_at);
                    Ok(report::added(ctx, &caller, done, ends).await)
                }
                Err(failure) if failure.kind() == "unauthorized" => {
                    Err(Refusal::Unauthorized.into())
                }
                Err(failure) => Err(caller.failed(failure)),
            }
        }
    }
}

/// `POST /remove`: the caller's own network, `network=` or with `all=true` all of the member's entries.
async fn removal(
    ctx: Context<'_>,
    event: &Event,
    caller: &Caller,
    member: &Member,
) -> Result<RouteResult, Rejection> {
    let all = event.parameter("all").is_some_and(|all| all == "true");
    let named = event.parameter("network").filter(|named| !named.is_empty());
    let network = match named {
        _ if all => None,
        Some(text) => {
            let parsed: Result<Network, NetworkError> = text.parse();
            Some(parsed.map_err(|error| caller.failed(Error::from(error)))?)
        }
        None => Some(caller.network),
    };
    let done = remove(ctx, member, network).await.map_err(|failure| caller.failed(failure))?;
    Ok(report::removed(ctx, caller, done).await)
}

/// Who asks. The lease is read at the same time, because it says which members were removed a
/// moment ago.
async fn identify(
    ctx: Context<'_>,
    event: &Event,
    config: &AddConfig,
) -> Result<(Option<Member>, StoredLease), Rejection> {
    let key = event.key();
    if key.is_none() && !config.open_access {
        return Err(Refusal::Unauthorized.into());
    }
    let long_enough = key.filter(|key| key.chars().count() >= SHORTEST_KEY);
    if long_enough.is_none() && !config.open_access {
        return Err(Refusal::Unauthorized.into());
    }
    let object = long_enough.map(|key| member_object(&key));
    let (member, stored) = match authenticate(ctx, object.as_deref()).await {
        // A file that names nobody lets nobody in. The log tells the administrator why.
        Err(error @ Error::State { .. }) => {
            report::unusable_member_file(&error);
            return Err(Refusal::Unauthorized.into());
        }
        answer => answer.map_err(Rejection::Unidentified)?,
    };
    if member.is_none() && !config.open_access {
        return Err(Refusal::Unauthorized.into());
    }
    Ok((member, stored.map_err(Rejection::Unidentified)?))
}

/// How long the entry is asked for, in seconds; `None`: until the next reset.
fn duration(event: &Event, config: &AddConfig) -> Result<Option<i64>, Refusal> {
    let most = config.max_entry_hours;
    let longest = i64::try_from(most.saturating_mul(3600)).unwrap_or(i64::MAX);
    match event.parameter("for") {
        Some(text) if !text.is_empty() => {
            parse_duration(&text, longest).map(Some).ok_or(Refusal::BadFor(most))
        }
        _ => Ok(None),
    }
}

/// Refuses networks that are too wide or not public.
fn check(network: Network, config: &AddConfig) -> Result<(), NetworkError> {
    network.check_width()?;
    if config.config.any_address { Ok(()) } else { network.check_public() }
}

/// The network that is asked for, before it is checked.
fn network(event: &Event, config: &AddConfig) -> Result<Network, Rejection> {
    let unreadable = |error: NetworkError| Rejection::Refusal(Refusal::BadIp(error));
    Ok(match event.parameter("ip").filter(|ip| !ip.is_empty()) {
        Some(_) if !config.explicit_ip => return Err(Refusal::ExplicitIpDisabled.into()),
        Some(text) => match text.parse() {
            Ok(address) => Network::of_caller(address, config.ipv6_prefix_length),
            Err(_) => text.parse().map_err(unreadable)?,
        },
        None => source_network(event, config)?,
    })
}

/// The network that the caller has at API Gateway.
fn source_network(event: &Event, config: &AddConfig) -> Result<Network, Refusal> {
    let source = event.source_ip().ok_or(Refusal::NoAddress)?;
    let bad = || NetworkError::BadIp(source.chars().take(64).collect());
    let address = source.parse().map_err(|_| Refusal::BadIp(bad()))?;
    Ok(Network::of_caller(address, config.ipv6_prefix_length))
}
