//! Waiting for some futures at once.
//!
//! `futures_util::future::join_all` has a scheduler for more than thirty futures, which is compiled
//! again for each type of future: a hundredth of the program. Here there are seldom more than three
//! futures.

use std::future::{Future, poll_fn};
use std::task::Poll;

use futures_util::future::maybe_done;

/// Waits for all of them; -> their results, in their order.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = futures.into_iter().map(|future| Box::pin(maybe_done(future))).collect();
    poll_fn(|context| {
        let waiting = all.iter_mut().filter_map(|future| match future.as_mut().poll(context) {
            Poll::Pending => Some(()),
            Poll::Ready(()) => None,
        });
        if waiting.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.iter_mut().filter_map(|future| future.as_mut().take_output()).collect()
}

/// Waits for all of them; the first error in their order, if there is one.
pub(crate) async fn try_join_all<T, E, F: Future<Output = Result<T, E>>>(
    futures: impl IntoIterator<Item = F>,
) -> Result<Vec<T>, E> {
    join_all(futures).await.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn all_wait_at_the_same_time_and_answer_in_their_order() {
        let started = tokio::time::Instant::now();
        let futures = [30, 10, 20].map(|millis| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            millis
        });
        assert_eq!(join_all(futures).await, [30, 10, 20]);
        assert_eq!(started.elapsed().as_millis(), 30);
    }

    #[tokio::test]
    async fn the_first_error_in_order_is_the_result() {
        let futures = [Ok(1), Err("second"), Err("third")].map(std::future::ready);
        assert_eq!(try_join_all(futures).await, Err("second"));
    }
}
