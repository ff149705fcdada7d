//! The SNS topic that is told of changes.

use aws_config::SdkConfig;

use super::error_kind::ErrorKind;
use super::{OnFirstUse, on_first_use};
use allowlist::error::Error;
use allowlist::notice::Notice;

/// A topic in the functions' own region.
#[derive(Clone, Debug)]
pub struct Topic {
    client: OnFirstUse<aws_sdk_sns::Client>,
    arn: String,
}

impl Topic {
    pub(super) fn new(sdk: SdkConfig, arn: String) -> Self {
        Self { client: on_first_use(move || aws_sdk_sns::Client::new(&sdk)), arn }
    }

    /// Publishes a notice.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn publish(&self, notice: &Notice<'_>) -> Result<(), Error> {
        let message = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(notice.subject())
            .message(notice.text());
        message.send().await.map(drop).map_err(|e| ErrorKind::report(e, "sns:Publish", &self.arn))
    }
}
