//! S3: one bucket.
//!
//! What the real service does, and how the fake does it:
//! - it is strongly consistent; every answer carries S3's clock (`Date`), and an object the second in which S3 took it
//!   in (`LastModified`): whole seconds, so two writes may carry the same one;
//! - an ETag depends on the content alone: the same content again has the same ETag;
//! - a conditional write that does not fit is 412; with `If-Match` on an object that is not there 404; under contention
//!   409 (a director does that);
//! - a listing has at most 1,000 keys a page, in the order of their bytes, XML-escaped ([`World::page_size`]);
//! - a delete is 204 whether there was an object or not;
//! - an answer that is lost, a put or a delete that lands later than its caller waits: a director does them
//!   ([`World::apply_dated`] tells when the object says that it was taken in).

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::op::{Condition, Op, Reply};
use crate::world::World;

/// One object of the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub body: String,
    pub etag: String,
    /// Seconds since 1970.
    pub modified: i64,
}

impl World {
    /// Puts an object at the start.
    pub fn put(&mut self, key: &str, body: &str) {
        let now = self.now();
        self.put_at(key, body, now);
    }

    /// Puts an object that says that it was taken in then.
    pub fn put_at(&mut self, key: &str, body: &str, modified: i64) {
        let object = Object { body: body.to_owned(), etag: etag(body), modified };
        self.objects.insert(key.to_owned(), object);
    }

    /// The keys of the bucket that begin so.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        under(&self.objects, prefix).map(|(key, _)| key.clone()).collect()
    }

    pub(crate) fn s3(&mut self, author: usize, op: &Op, modified: i64) -> Reply {
        match op {
            Op::GetObject(key) => match self.objects.get(key) {
                Some(Object { body, etag, modified }) => {
                    Reply::Object { etag: etag.clone(), body: body.clone(), modified: *modified }
                }
                None => Reply::Error(404, "NoSuchKey"),
            },
            Op::PutObject { key, body, condition } => {
                let existing = self.objects.get(key).map(|object| &object.etag);
                match (condition, existing) {
                    (Some(Condition::Etag(_)), None) => return Reply::Error(404, "NoSuchKey"),
                    (Some(Condition::Etag(wanted)), Some(etag)) if wanted != etag => {
                        return Reply::Error(412, "PreconditionFailed");
                    }
                    (Some(Condition::Absent), Some(_)) => {
                        return Reply::Error(412, "PreconditionFailed");
                    }
                    _ => {}
                }
                if op.writes_lease() && !body.starts_with(r#"{"nonce":null"#) {
                    self.leased.entry(author).or_insert(self.step);
                }
                self.put_at(key, body, modified);
                Reply::Stored(etag(body))
            }
            Op::DeleteObject(key) => {
                self.objects.remove(key);
                Reply::Done
            }
            Op::ListObjectsV2(prefix, after) => {
                let mut objects: Vec<(String, i64)> = under(&self.objects, prefix)
                    .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
                    .map(|(key, object)| (key.clone(), object.modified))
                    .collect();
                let more = objects.len() > self.page_size;
                objects.truncate(self.page_size);
                let last = objects.last().map(|(key, _)| key.clone());
                Reply::Listing { objects, next: last.filter(|_| more) }
            }
            other => panic!("{other:?} is none of S3's"),
        }
    }
}

fn under<'w>(
    objects: &'w BTreeMap<String, Object>,
    prefix: &'w str,
) -> impl Iterator<Item = (&'w String, &'w Object)> {
    objects.iter().filter(move |(key, _)| key.starts_with(prefix))
}

fn etag(body: &str) -> String {
    let hash = Sha256::digest(body.as_bytes());
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
