//! `lease.json` in S3: read it, take it, change it, give it back. Every write is conditional and made in one
//! attempt; an answer that was lost, a 412 and a 409 are settled by reading.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::ConfigBag;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use tokio::time::Instant;

use super::failure::Failure;
use super::state::{State, is_missing};
use crate::planted::{Fault, planted};
use allowlist::error::Error;
use allowlist::lease::{LEASE, Record};

const KEY: &str = "lease.json";

/// S3's times are whole seconds: an age computed from two of them may be one second too high.
const CLOCK_GRAIN: i64 = 1;

/// How far this machine's clock may be ahead of S3's, where an answer does not tell S3's time.
const SKEW: i64 = 5;

/// `lease.json` as it was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The object's ETag; `None` while there is no object.
    pub etag: Option<String>,
    /// The content; `None` while there is no object.
    pub record: Option<Record>,
    /// When it was written, by S3's clock, in seconds since 1970.
    pub written_at: i64,
    /// Whether a lease written then has run out, by S3's clock alone: no function's clock is asked.
    pub expired: bool,
}

impl Reading {
    /// Whether the lease can be taken: nobody holds it, or its holder let it run out.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.expired
            || self
                .record
                .as_ref()
                .is_none_or(|record| record.nonce.is_none())
    }

    /// The lease, if `nonce` is in it: a write of ours whose answer was lost has landed. `since` is when the first
    /// such write was sent, so that the lease is never believed to last longer than it does.
    #[must_use]
    pub fn held_by(&self, nonce: &str, since: Instant) -> Option<Held> {
        let record = self
            .record
            .as_ref()
            .filter(|record| record.nonce.as_deref() == Some(nonce))?;
        Some(Held {
            etag: self.etag.clone()?,
            record: record.clone(),
            ends: since + LEASE,
        })
    }
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The object is as we wrote it.
    Ours,
    /// Somebody else wrote.
    Lost,
}

/// A lease that this invocation holds.
#[derive(Clone, Debug)]
pub struct Held {
    etag: String,
    /// The content of `lease.json` as long as the lease is held.
    pub record: Record,
    /// When to stop at the latest, measured from before the write that took or renewed the lease.
    pub ends: Instant,
}

/// When a lease taken now ends, by this machine's clock: for people.
#[must_use]
pub fn until() -> String {
    DateTime::from(SystemTime::now() + LEASE)
        .fmt(DateTimeFormat::DateTime)
        .unwrap_or_default()
}

/// Catches the `Date` of a response: S3's own clock.
#[derive(Clone, Debug, Default)]
struct ServerDate(Arc<Mutex<Option<i64>>>);

impl ServerDate {
    fn seconds(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let date = context
            .response()
            .headers()
            .get("date")
            .and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date.map(|date| date.secs());
        Ok(())
    }
}

impl State {
    /// Reads `lease.json`.
    ///
    /// # Errors
    /// [`Error::State`] when it is not what this project writes; [`Error::Aws`], [`Error::Throttled`].
    pub async fn lease(&self) -> Result<Reading, Error> {
        let date = ServerDate::default();
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(KEY)
            .customize()
            .interceptor(date.clone());
        let answer = match get.send().await {
            Ok(answer) => answer,
            Err(e) if is_missing(&e) => {
                return Ok(Reading {
                    etag: None,
                    record: None,
                    written_at: 0,
                    expired: false,
                });
            }
            Err(e) => return Err(Failure::report(e, "s3:GetObject", &self.location(KEY))),
        };
        let written_at = answer.last_modified().map(DateTime::secs);
        let etag = answer.e_tag().map(str::to_owned);
        let text = self.body(KEY, answer.body).await?;
        let record = serde_json::from_str(&text).map_err(|e| Error::State {
            key: KEY.to_owned(),
            reason: format!("it is not a lease ({e}), restore its previous version"),
        })?;
        let now = date
            .seconds()
            .unwrap_or_else(|| DateTime::from(SystemTime::now()).secs() - SKEW);
        let expired =
            written_at.is_some_and(|then| now - then >= LEASE.as_secs() as i64 + CLOCK_GRAIN);
        Ok(Reading {
            etag,
            record: Some(record),
            written_at: written_at.unwrap_or_default(),
            expired,
        })
    }

    /// Tries to take the lease by writing `record`, which carries our nonce, over what was read. `since` is when the
    /// first write with that nonce was sent. What is returned may carry an earlier record of ours than `record`.
    ///
    /// # Errors
    /// As [`State::lease`], when the outcome had to be settled by reading.
    pub async fn take_lease(
        &self,
        over: &Reading,
        record: Record,
        since: Instant,
    ) -> Result<Option<Held>, Error> {
        let started = Instant::now();
        match self.put_lease(over.etag.as_deref(), &record).await {
            Ok(etag) => Ok(Some(Held {
                etag,
                record,
                ends: started + LEASE,
            })),
            Err(Failure::Precondition | Failure::Unanswered | Failure::Throttled) => {
                let now = self.lease().await?;
                Ok(record
                    .nonce
                    .as_deref()
                    .and_then(|nonce| now.held_by(nonce, since)))
            }
            Err(failure) => Err(self.lease_error(failure)),
        }
    }

    /// Writes `record` over the lease that we hold. A write whose answer was lost is repeated while the object is
    /// still the one that we hold: only one of the two can land.
    ///
    /// # Errors
    /// As [`State::lease`]; [`Error::Busy`] when S3 did not answer in time.
    pub async fn update_lease(&self, held: &mut Held, record: Record) -> Result<Written, Error> {
        let started = Instant::now();
        for attempt in 0..3u32 {
            match self.put_lease(Some(&held.etag), &record).await {
                Ok(etag) => {
                    *held = Held {
                        etag,
                        record,
                        ends: started + LEASE,
                    };
                    return Ok(Written::Ours);
                }
                Err(Failure::Precondition | Failure::Unanswered | Failure::Throttled) => {
                    let now = self.lease().await?;
                    if now.record.as_ref() == Some(&record) {
                        *held = Held {
                            etag: now.etag.unwrap_or_default(),
                            record,
                            ends: started + LEASE,
                        };
                        return Ok(Written::Ours);
                    }
                    if now.etag.as_ref() != Some(&held.etag)
                        && !planted(Fault::ReleaseUnconditionally)
                    {
                        return Ok(Written::Lost);
                    }
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                }
                Err(failure) => return Err(self.lease_error(failure)),
            }
        }
        Err(Error::Busy("S3 does not take the lease".to_owned()))
    }

    async fn put_lease(&self, etag: Option<&str>, record: &Record) -> Result<String, Failure> {
        let body = serde_json::to_vec(record).map_err(|_| Failure::Refused)?;
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(KEY)
            .content_type("application/json");
        let unconditional = record.nonce.is_none() && planted(Fault::ReleaseUnconditionally);
        let put = match etag {
            _ if unconditional => put,
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        // One attempt: an answer that was lost is settled by reading.
        let once = aws_sdk_s3::Config::builder().retry_config(RetryConfig::disabled());
        match put
            .body(ByteStream::from(body))
            .customize()
            .config_override(once)
            .send()
            .await
        {
            Ok(answer) => answer.e_tag().map(str::to_owned).ok_or(Failure::Unanswered),
            Err(e) => {
                let failure = Failure::of(&e);
                if !matches!(failure, Failure::Precondition) {
                    tracing::warn!(
                        operation = "s3:PutObject",
                        key = KEY,
                        ?failure,
                        "lease write failed"
                    );
                }
                // With If-Match on an object that is gone S3 answers 404: somebody deleted the lease.
                Err(if failure == Failure::NotFound {
                    Failure::Precondition
                } else {
                    failure
                })
            }
        }
    }

    fn lease_error(&self, failure: Failure) -> Error {
        let advice = match failure {
            Failure::Denied => "allow `s3:PutObject` on it in the function's role",
            _ => "see the function's log",
        };
        Error::Aws {
            operation: "s3:PutObject",
            resource: self.location(KEY),
            advice: advice.to_owned(),
            source: format!("{failure:?}").into(),
        }
    }
}
