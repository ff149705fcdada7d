//! The SNS topic that is told of changes.

use super::failure::Failure;
use crate::error::Error;
use crate::notice::Notice;

/// A topic in the functions' own region.
#[derive(Clone, Debug)]
pub struct Topic {
    pub(super) client: aws_sdk_sns::Client,
    pub(super) arn: String,
}

impl Topic {
    /// Publishes a notice.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn publish(&self, notice: &Notice<'_>) -> Result<(), Error> {
        let message = self.client.publish().topic_arn(&self.arn).subject(notice.subject()).message(notice.text());
        message.send().await.map(drop).map_err(|e| Failure::report(e, "sns:Publish", &self.arn))
    }
}
