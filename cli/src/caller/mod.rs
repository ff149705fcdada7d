//! What members do, with their key and no AWS credentials.

pub mod add;
mod api;
mod bookmark;
mod client;
pub mod login;
pub mod remove;
mod schedule;
pub mod status;
mod unit;
pub mod watch;
