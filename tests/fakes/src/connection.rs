//! The HTTP client that the SDK is given: every request becomes one call of the world, when and how a director says.
//!
//! What a network does, and how the fake does it: a request is lost before its effect or its answer after it; the
//! connection breaks, or nothing ever comes back; the effect comes after the caller has given up. The director decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::op::{Op, Reply};
use crate::wire;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered so.
    Answered(Reply, i64),
    /// The connection breaks: the caller cannot know whether it took effect.
    Broken,
    /// Nothing ever comes back: the caller's own time-out must end it.
    Silent,
}

/// A future of the director's.
pub type Decision = Pin<Box<dyn Future<Output = Fate> + Send>>;

/// Decides what happens to every call.
pub trait Director: Send + Sync {
    /// Called when `author` makes a call; the future resolves when the call is over.
    fn decide(&self, author: usize, op: Op) -> Decision;

    /// Told with whose credentials a call is signed, before it is decided about.
    fn signed(&self, _op: &Op, _access_key: &str) {}
}

/// One author's connection to the world.
#[derive(Clone)]
pub struct Connection {
    author: Arc<AtomicUsize>,
    director: Arc<dyn Director>,
}

impl Connection {
    /// `author` is who calls now; one process handles one request after the other.
    pub fn new(author: Arc<AtomicUsize>, director: Arc<dyn Director>) -> Self {
        Self { author, director }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?})", self.author)
    }
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let op = wire::read(&request);
        if let Some(access_key) = wire::signer(&request) {
            self.director.signed(&op, access_key);
        }
        let fate = self.director.decide(self.author.load(Ordering::Relaxed), op.clone());
        HttpConnectorFuture::new(async move {
            match fate.await {
                Fate::Answered(reply, now) => Ok(wire::write(&op, &reply, now)),
                Fate::Broken => Err(ConnectorError::io("the connection broke".into())),
                Fate::Silent => std::future::pending().await,
            }
        })
    }
}

impl HttpClient for Connection {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
