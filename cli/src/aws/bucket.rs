//! The state bucket, with the administrator's own rights.

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::failure::{code, explain};
use super::stack::Stack;
use crate::problem::Problem;

/// One object of a listing.
#[derive(Clone, Debug)]
pub struct Object {
    /// The key.
    pub key: String,
    /// When S3 took it in, in seconds since 1970.
    pub modified: i64,
}

impl Stack {
    /// The name of the bucket.
    ///
    /// # Errors
    /// As [`Stack::output`].
    pub fn bucket(&self) -> Result<&str, Problem> {
        self.output("StateBucket")
    }

    /// What lies under a prefix.
    ///
    /// # Errors
    /// [`explain`].
    pub async fn objects(&self, prefix: &str) -> Result<Vec<Object>, Problem> {
        let pages = self.aws.s3.list_objects_v2().bucket(self.bucket()?);
        let mut pages = pages.prefix(prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain("s3:ListBucket", error))?;
            found.extend(page.contents().iter().filter_map(|object| {
                let modified = object.last_modified().map_or(0, |time| time.secs());
                let key = object.key()?.to_owned();
                Some(Object { key, modified })
            }));
        }
        Ok(found)
    }

    /// The text of an object; `None` if there is none.
    ///
    /// # Errors
    /// [`explain`].
    pub async fn object(&self, key: &str) -> Result<Option<String>, Problem> {
        let answer = self.aws.s3.get_object().bucket(self.bucket()?).key(key);
        let answer = match answer.send().await {
            Err(error) if code(&error) == "NoSuchKey" => return Ok(None),
            answer => answer.map_err(|error| explain("s3:GetObject", error))?,
        };
        let broken = |reason: String| {
            Problem::later("unreachable", format!("`{key}` was not received ({reason}): try again"))
        };
        let bytes = answer.body.collect().await.map_err(|e| broken(e.to_string()))?;
        let text = String::from_utf8_lossy(&bytes.to_vec()).into_owned();
        Ok(Some(text))
    }

    /// Stores an object.
    ///
    /// # Errors
    /// [`explain`], with a word on the bucket's policy if that refuses.
    pub async fn put(&self, key: &str, body: String) -> Result<(), Problem> {
        let put = self.aws.s3.put_object().bucket(self.bucket()?).key(key);
        let put = put.content_type("application/json");
        let put = put.body(ByteStream::from(body.into_bytes()));
        let answer = put.send().await;
        answer.map(drop).map_err(|error| guarded(is_denied(&error), explain("s3:PutObject", error)))
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As [`Stack::put`].
    pub async fn delete(&self, key: &str) -> Result<(), Problem> {
        let delete = self.aws.s3.delete_object().bucket(self.bucket()?).key(key);
        let answer = delete.send().await;
        answer
            .map(drop)
            .map_err(|error| guarded(is_denied(&error), explain("s3:DeleteObject", error)))
    }
}

fn is_denied<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    code(error) == "AccessDenied"
}

fn guarded(is_denied: bool, mut problem: Problem) -> Problem {
    if is_denied {
        problem.message += "; the bucket's policy lets only AdminPrincipalArns write there, where that parameter is set";
    }
    problem
}
