//! Stateful fakes of IAM, STS, S3 and SNS behind the real SDK clients, harsher than the services themselves.
//!
//! [`world`] holds the account; [`iam`], [`replicas`], [`trust`], [`s3`] and [`sts`] each say what
//! their service may do and do it; [`wire`] speaks the protocols; [`connection`] is the HTTP client
//! that the SDK is given, and asks a [`connection::Director`] what happens to each call; [`invoke`]
//! is the one place that calls the functions' handlers; [`log`] holds what they log.

pub mod connection;
pub mod iam;
pub mod invoke;
pub mod log;
pub mod op;
pub mod replicas;
pub mod s3;
pub mod script;
pub mod sts;
pub mod trust;
pub mod wire;
pub mod world;

pub use connection::{Connection, Director, Fate};
pub use invoke::{Answer, Caller, Function, add_config, add_event, reset_config};
pub use op::Op;
pub use replicas::{Behind, Replicas};
pub use script::{Act, Script};
pub use world::{POLICY, Shared, World, read_gate};

/// A gate policy with these entries, and a second statement that the functions must never touch.
pub fn gate(entries: &[&str], tags: &[&str]) -> String {
    let (entries, tags) =
        (serde_json::to_string(entries).unwrap(), serde_json::to_string(tags).unwrap());
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Gate","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"NotIpAddress":{{"aws:SourceIp":{entries}}}}}}},{{"Sid":"Other","Effect":"Allow","Action":{tags},"Resource":"*"}}]}}"#
    )
}

/// The permanent entry of [`office`].
pub const OFFICE: &str = "123.123.123.123/32";

/// A policy with the office on its list, in version 1.
pub fn office() -> World {
    World::with_policy(&[(1, gate(&[OFFICE], &["s3:Get*"]))])
}
