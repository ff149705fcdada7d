//! Raw bytes at every edge, through the very functions that production calls.
//!
//! Each target is a function of bytes in `targets/`, which panics where a promise is broken. `corpus/` holds the inputs
//! that every run begins with: examples, and whatever was found. CONTRIBUTING.md says how to fuzz for hours.

mod engine;
mod mutate;
mod python;
mod targets;

use engine::fuzz;
use python::Python;
use targets::{commands, documents, events, leases, listings, members, networks};

#[test]
fn every_event_is_answered() {
    fuzz("events", &events::WORDS, events::check);
}

#[test]
fn no_command_that_cannot_be_read_is_a_reset() {
    fuzz("commands", &commands::WORDS, commands::check);
}

#[test]
fn only_what_add_ip_would_write_is_a_grant() {
    fuzz("listings", &listings::WORDS, listings::check);
}

#[test]
fn a_document_means_the_same_to_another_parser() {
    let python = Python::start();
    fuzz("documents", &documents::WORDS, |input| documents::check(&python, input));
}

#[test]
fn a_network_means_the_same_to_python() {
    let python = Python::start();
    fuzz("networks", &networks::WORDS, |input| networks::check(&python, input));
}

#[test]
fn any_lease_is_used_or_refused() {
    fuzz("leases", &leases::WORDS, leases::check);
}

#[test]
fn only_a_members_own_file_lets_them_in() {
    fuzz("members", &members::WORDS, members::check);
}
