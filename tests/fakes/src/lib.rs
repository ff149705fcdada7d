//! Stateful fakes of IAM and S3 behind the real SDK clients.
//!
//! [`world`] holds the account and enforces the services' rules, [`wire`] speaks their protocols, [`connection`] is
//! the HTTP client that the SDK is given, and asks a [`connection::Director`] what becomes of each call.

pub mod connection;
pub mod invoke;
pub mod script;
pub mod wire;
pub mod world;

pub use connection::{Connection, Director, Fate};
pub use invoke::{Answer, Caller, Function, add_config, add_event, reset_config};
pub use script::{Act, Script};
pub use world::{Op, POLICY, Shared, World};

/// A gate policy with these entries, and a second statement that the functions must never touch.
pub fn gate(entries: &[&str], tags: &[&str]) -> String {
    let (entries, tags) = (
        serde_json::to_string(entries).unwrap(),
        serde_json::to_string(tags).unwrap(),
    );
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
