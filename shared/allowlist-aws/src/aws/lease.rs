//! `lease.json` in S3: read it, take it, change it, give it back. Every write is conditional and
//! made in one attempt. After a lost answer, a 412 or a 409 the function reads the object to find
//! out what happened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use allowlist::error::Error;
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::{LEASE, LEASE_OBJECT, LeaseRecord};
use allowlist::time::rfc3339;
use aws_sdk_s3::config::ConfigBag;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use tokio::time::Instant;

use super::error_kind::ErrorKind;
use super::state_bucket::{StateBucket, is_missing};
use crate::Boxed;

/// S3's times are whole seconds: an age computed from two of them may be one second too high.
const CLOCK_GRAIN: i64 = 1;

/// How far this machine's clock may be ahead of S3's. It counts only if an answer does not tell
/// S3's time.
const SKEW: i64 = 5;

/// How often a lease write whose answer was lost is made again.
const UPDATE_ATTEMPTS: u32 = 3;

/// S3's clock at one moment, carried on by this machine's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    seconds: i64,
    read_at: Instant,
}

impl Clock {
    /// The time by S3's clock now, in whole seconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        let elapsed = self.read_at.elapsed().as_secs();
        self.seconds.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }
}

/// `lease.json` as it was read.
#[derive(Clone, Debug)]
pub struct StoredLease {
    /// The object's ETag; `None` while there is no object.
    pub etag: Option<String>,
    /// The content; that of a free lease while there is no object.
    pub record: LeaseRecord,
    /// When it was written, by S3's clock, in seconds since 1970.
    pub written_at: i64,
    /// S3's clock.
    pub clock: Clock,
    /// Whether a lease that was written then has run out, by S3's clock alone.
    pub expired: bool,
}

impl StoredLease {
    /// Whether the lease can be taken: nobody holds it, or its holder let it run out.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.expired || self.record.nonce.is_none()
    }

    /// The lease, if `nonce` is in it: a write of ours whose answer was lost has landed. `since` is when the first
    /// such write was sent, so that the lease is never believed to last longer than it does.
    #[must_use]
    pub fn held_by(&self, nonce: &str, since: Instant) -> Option<Lease> {
        if self.record.nonce.as_deref() != Some(nonce) {
            return None;
        }
        let (etag, record) = (self.etag.clone()?, self.record.clone());
        Some(Lease { etag, record, clock: self.clock, ends: since + LEASE })
    }
}

/// A lease that this invocation holds.
#[derive(Clone, Debug)]
pub struct Lease {
    etag: String,
    /// The content of `lease.json` as long as the lease is held.
    pub record: LeaseRecord,
    /// S3's clock.
    pub clock: Clock,
    /// The latest time to stop, counted from before the write that took or renewed the lease.
    pub ends: Instant,
}

/// When a lease that is taken now ends, by this machine's clock: for people.
#[must_use]
pub fn until() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    rfc3339(i64::try_from((now + LEASE).as_secs()).unwrap_or(i64::MAX))
}

/// Catches the `Date` of a response: S3's own clock.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerDate(Arc<Mutex<Option<i64>>>);

impl ServerDate {
    /// S3's clock. A response without a `Date` leaves only this machine's, set back so far that nothing expires early.
    pub(super) fn clock(&self) -> Clock {
        let told = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = told.unwrap_or_else(|| DateTime::from(SystemTime::now()).secs() - SKEW);
        Clock { seconds, read_at: Instant::now() }
    }
}

#[dyn_dispatch_hint]
impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date.map(|date| date.secs());
        Ok(())
    }
}

impl StateBucket {
    /// Reads `lease.json`.
    ///
    /// # Errors
    /// [`Error::State`] when it is not what this project writes; [`Error::Aws`], [`Error::Throttled`].
    pub fn lease(&self) -> Boxed<'_, Result<StoredLease, Error>> {
        Box::pin(async move {
            let date = ServerDate::default();
            let get = self.client.get_object().bucket(&self.bucket).key(LEASE_OBJECT);
            let answer = match get.customize().interceptor(date.clone()).send().await {
                Ok(answer) => answer,
                Err(e) if is_missing(&e) => {
                    return Ok(StoredLease {
                        etag: None,
                        record: LeaseRecord::default(),
                        written_at: 0,
                        clock: date.clock(),
                        expired: false,
                    });
                }
                Err(e) => {
                    return Err(ErrorKind::report(e, "s3:GetObject", &self.location(LEASE_OBJECT)));
                }
            };
            let clock = date.clock();
            let written_at = answer.last_modified().map(DateTime::secs);
            let etag = answer.e_tag().map(str::to_owned);
            let text = self.body(LEASE_OBJECT, answer.body).await?;
            let record = serde_json::from_str(&text).map_err(|e| Error::State {
                key: LEASE_OBJECT.to_owned(),
                reason: format!("it is not a lease ({e}): restore its previous version"),
            })?;
            let age = written_at.map(|then| clock.now() - then);
            let expired = age.is_some_and(|age| age >= LEASE.as_secs() as i64 + CLOCK_GRAIN);
            Ok(StoredLease {
                etag,
                record,
                written_at: written_at.unwrap_or_default(),
                clock,
                expired,
            })
        })
    }

    /// Tries to take the lease by writing `record`, which carries our nonce, over what was read. `since` is when the
    /// first write with that nonce was sent. What is returned may carry an earlier record of ours than `record`.
    ///
    /// # Errors
    /// As [`StateBucket::lease`], when the outcome had to be settled by reading.
    pub async fn take_lease(
        &self,
        over: &StoredLease,
        record: LeaseRecord,
        since: Instant,
    ) -> Result<Option<Lease>, Error> {
        let started = Instant::now();
        match self.put_lease(over.etag.as_deref(), &record).await {
            Ok(etag) => Ok(Some(Lease { etag, record, clock: over.clock, ends: started + LEASE })),
            // INVARIANT (NonceSettles): the write may have landed all the same.
            Err(kind) if must_read(kind) && holds(Invariant::NonceSettles) => {
                let now = self.lease().await?;
                Ok(record.nonce.as_deref().and_then(|nonce| now.held_by(nonce, since)))
            }
            Err(kind) if must_read(kind) => Ok(None),
            Err(kind) => Err(self.lease_error(kind)),
        }
    }

    /// Writes `record` over the lease that we hold; `false` when somebody else has taken it. A write whose answer was
    /// lost is repeated while the object is still the one that we hold: only one of the two can land.
    ///
    /// # Errors
    /// As [`StateBucket::lease`]; [`Error::Busy`] when S3 did not answer in time.
    pub async fn update_lease(
        &self,
        lease: &mut Lease,
        record: LeaseRecord,
    ) -> Result<bool, Error> {
        let started = Instant::now();
        for attempt in 0..UPDATE_ATTEMPTS {
            match self.put_lease(Some(&lease.etag), &record).await {
                Ok(etag) => {
                    (lease.etag, lease.record, lease.ends) = (etag, record, started + LEASE);
                    return Ok(true);
                }
                Err(kind) if must_read(kind) => {
                    let now = self.lease().await?;
                    if now.record == record {
                        lease.etag = now.etag.unwrap_or_default();
                        (lease.record, lease.ends) = (record, started + LEASE);
                        return Ok(true);
                    }
                    let is_ours = now.etag.as_ref() == Some(&lease.etag);
                    if !is_ours && holds(Invariant::ConditionalLease) {
                        return Ok(false);
                    }
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                }
                Err(kind) => return Err(self.lease_error(kind)),
            }
        }
        Err(Error::Busy("S3 does not take the lease".to_owned()))
    }

    async fn put_lease(
        &self,
        etag: Option<&str>,
        record: &LeaseRecord,
    ) -> Result<String, ErrorKind> {
        let body = serde_json::to_vec(record).map_err(|_| ErrorKind::Refused)?;
        let put = self.client.put_object().bucket(&self.bucket).key(LEASE_OBJECT);
        // INVARIANT (ConditionalLease): a write that lands late must not undo what others have written.
        let put = match etag {
            _ if record.nonce.is_none() && !holds(Invariant::ConditionalLease) => put,
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        let put = put.content_type("application/json").body(ByteStream::from(body));
        // One attempt: an answer that was lost is settled by reading.
        let once = aws_sdk_s3::Config::builder().retry_config(RetryConfig::disabled());
        match put.customize().config_override(once).send().await {
            Ok(answer) => answer.e_tag().map(str::to_owned).ok_or(ErrorKind::Unanswered),
            // If somebody deleted the object, S3 answers 404 to `If-Match`.
            Err(e) => Err(match ErrorKind::of(&e) {
                ErrorKind::NotFound => ErrorKind::Precondition,
                kind => kind,
            }),
        }
    }

    fn lease_error(&self, kind: ErrorKind) -> Error {
        let advice = match kind {
            ErrorKind::Denied => "allow `s3:PutObject` on it in the function's role",
            _ => "see the function's log",
        };
        Error::Aws {
            operation: "s3:PutObject",
            resource: self.location(LEASE_OBJECT),
            advice: advice.to_owned(),
            source: format!("{kind:?}").into(),
        }
    }
}

/// Whether only a read of the object tells what happened to a write.
fn must_read(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Precondition | ErrorKind::Unanswered | ErrorKind::Throttled)
}
