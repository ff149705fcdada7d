//! The addresses of the API and of its peer, as browsers reach them.

use crate::event::Event;

/// Where the function runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosting {
    /// The region, from `AWS_REGION`.
    pub region: String,
}

impl Hosting {
    /// The end of every AWS host name in the region's partition.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
    fn suffix(&self) -> &'static str {
        if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
    }
}

/// The addresses of the two APIs. Both end with a slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The path of this API on its own host, such as `/gate/`.
    pub own: String,
    /// The other API (dual-stack beside IPv4), such as `https://<id>.execute-api.<region>.<suffix>/gate/`; empty
    /// without one.
    pub peer: String,
}

impl Addresses {
    /// Reads them off an event.
    ///
    /// The peer has this host's name with another first label: its API's id. (An API's URL in its
    /// function's environment would be a circular dependency; a stage variable is none.) So the
    /// host must be one of API Gateway's own, or of a local emulator. With any other name the same
    /// rule could name a stranger's host, and the page would send the key there: then there is no
    /// peer.
    #[must_use]
    pub fn of(event: &Event, hosting: &Hosting) -> Self {
        let path = event
            .path()
            .strip_suffix(event.resource().trim_start_matches('/'))
            .unwrap_or("/")
            .trim_matches('/');
        let own = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
        let peer = peer_origin(event, hosting).map(|origin| origin + &own).unwrap_or_default();
        Self { own, peer }
    }

    /// The origin of the peer, for `Access-Control-Allow-Origin` and `connect-src`.
    #[must_use]
    pub fn peer_origin(&self) -> Option<&str> {
        let length = self.peer.len().checked_sub(self.own.len())?;
        self.peer.get(..length).filter(|origin| !origin.is_empty())
    }
}

fn peer_origin(event: &Event, hosting: &Hosting) -> Option<String> {
    let id = event.stage_variable("PEER_API_ID")?;
    let (scheme, host) = event.host();
    let (label, rest) = host.split_once('.')?;
    let on_aws = || {
        Some(label) == event.api_id()
            && !hosting.region.is_empty()
            && rest == format!("execute-api.{}.{}", hosting.region, hosting.suffix())
    };
    (is_name(id) && is_name(label) && (is_local(rest) || on_aws()))
        .then(|| format!("{scheme}://{id}.{rest}"))
}

/// Whether this is one label of a host name. Any other text that a caller writes into a `Host`
/// header must not get into the header `Content-Security-Policy`.
fn is_name(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether the host, here without its first label, ends in `.localhost`, with any port. Such a name never leaves the
/// machine (RFC 6761).
fn is_local(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let mut labels = name.rsplit('.');
    labels.next() == Some("localhost")
        && labels.all(is_name)
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn addresses(event: &Value, region: &str) -> Addresses {
        let hosting = Hosting { region: region.to_owned() };
        Addresses::of(&Event::read(&event.to_string()), &hosting)
    }

    #[test]
    fn the_own_address_is_the_path_of_the_stage() {
        for (resource, path, own) in [
            ("/status", "/gate/status", "/gate/"),
            ("/", "/gate/", "/gate/"),
            ("/", "/gate", "/gate/"),
            ("/add", "/add", "/"),
            ("/", "/", "/"),
            ("/add", "//evil.example/add", "/evil.example/"),
            ("/add", "/elsewhere", "/"),
        ] {
            let event = json!({"resource": resource, "requestContext": {"path": path}});
            assert_eq!(
                addresses(&event, "eu-west-1"),
                Addresses { own: own.to_owned(), peer: String::new() },
                "{path}"
            );
        }
    }

    #[test]
    fn only_hosts_of_api_gateway_have_a_peer() {
        let aws = "a1.execute-api.eu-west-1.amazonaws.com";
        // domainName, AWS_REGION, PEER_API_ID, apiId; the peer, "" for none.
        #[rustfmt::skip]
        let rows = [
            (aws, "eu-west-1", "b2", "a1", "https://b2.execute-api.eu-west-1.amazonaws.com"),
            ("a1.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1", "b2", "a1", "https://b2.execute-api.cn-north-1.amazonaws.com.cn"),
            ("a1.execute-api.us-gov-west-1.amazonaws.com", "us-gov-west-1", "b2", "a1", "https://b2.execute-api.us-gov-west-1.amazonaws.com"),
            (aws, "eu-west-1", "", "a1", ""),
            (aws, "eu-west-1", "evil.example/", "a1", ""),
            (aws, "eu-west-1", "b2 https://evil.example", "a1", ""),
            (aws, "eu-west-1", "b2", "c3", ""),
            (aws, "us-east-1", "b2", "a1", ""),
            (aws, "", "b2", "a1", ""),
            ("a1.execute-api..amazonaws.com", "", "b2", "a1", ""),
            ("a1.execute-api.cn-north-1.amazonaws.com", "cn-north-1", "b2", "a1", ""),
            ("gate.example.com", "eu-west-1", "b2", "gate", ""),
            ("a1.execute-api.eu-west-1.amazonaws.com.evil.example", "eu-west-1", "b2", "a1", ""),
            ("evil.example/.execute-api.eu-west-1.amazonaws.com", "eu-west-1", "b2", "evil.example/", ""),
            ("a1.execute-api.eu-west-1.amazonaws.com:444", "eu-west-1", "b2", "a1", ""),
            ("A1.execute-api.eu-west-1.amazonaws.com", "eu-west-1", "b2", "a1", ""),
            ("localhost", "eu-west-1", "b2", "localhost", ""),
        ];
        for (name, region, id, api_id, peer) in rows {
            let event = json!({
                "resource": "/add", "stageVariables": {"PEER_API_ID": id},
                "requestContext": {"path": "/gate/add", "domainName": name, "apiId": api_id},
            });
            let found = addresses(&event, region);
            assert_eq!(found.peer_origin().unwrap_or_default(), peer, "{name}");
            if !peer.is_empty() {
                assert_eq!(found.peer, format!("{peer}/gate/"));
            }
        }
    }

    #[test]
    fn a_local_emulator_has_a_peer_on_any_port() {
        #[rustfmt::skip]
        let rows = [
            ("a1.execute-api.localhost:4566", "", "http://b2.execute-api.localhost:4566"),
            ("a1.execute-api.localhost", "", "http://b2.execute-api.localhost"),
            ("a1.localhost:1", "https", "https://b2.localhost:1"),
            ("a1.localhost:1", "gopher", "http://b2.localhost:1"),
            ("a1.localhost:", "", ""),
            ("a1.localhost:80x", "", ""),
            ("a1.localhost:80:80", "", ""),
            ("a1.localhost.evil.example", "", ""),
            ("a1.evillocalhost", "", ""),
            ("a1.x; script-src *.localhost", "", ""),
            ("a1;.localhost", "", ""),
            (".localhost", "", ""),
            ("localhost:3000", "", ""),
            ("", "", ""),
        ];
        for (host, proto, peer) in rows {
            let event = json!({
                "resource": "/", "path": "/", "stageVariables": {"PEER_API_ID": "b2"},
                "headers": {"Host": host, "X-Forwarded-Proto": proto},
            });
            let found = addresses(&event, "eu-west-1");
            assert_eq!(found.peer_origin().unwrap_or_default(), peer, "{host}");
        }
    }
}
