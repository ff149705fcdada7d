//! Work after the response. Lambda keeps an invocation running until the function asks for the next
//! event, and the member does not wait for that. Only pruning and giving the lease back may be done
//! here.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use allowlist_aws::flow::lease::Release;
use lambda_runtime::LambdaInvocation;
use lambda_runtime::tower::{Layer, Service};

/// Where the handler leaves work that is done after its answer.
#[derive(Clone, Debug, Default)]
pub struct AfterResponse(Arc<Mutex<Option<Box<Release>>>>);

impl AfterResponse {
    /// Leaves work to be done after the answer was sent.
    pub fn leave(&self, release: Option<Box<Release>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = release;
    }

    fn take(&self) -> Option<Box<Release>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S> Layer<S> for AfterResponse {
    type Service = SendThenRelease<S>;

    fn layer(&self, inner: S) -> SendThenRelease<S> {
        SendThenRelease { inner, after: self.clone() }
    }
}

/// The service that sends the response, and then does the work that was left.
#[derive(Clone, Debug)]
pub struct SendThenRelease<S> {
    inner: S,
    after: AfterResponse,
}

impl<S> Service<LambdaInvocation> for SendThenRelease<S>
where
    S: Service<LambdaInvocation>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let sent = self.inner.call(invocation);
        let after = self.after.clone();
        Box::pin(async move {
            let result = sent.await;
            if let Some(release) = after.take() {
                release.run().await;
            }
            result
        })
    }
}
