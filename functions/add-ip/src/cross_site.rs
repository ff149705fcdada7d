//! Which requests may act, and which ones another site made in a member's browser.
//!
//! A page on another site can make a browser send requests here: an image, a form, a link. Such a
//! request must not add an address, because the person at the browser did not ask for it. Browsers
//! say in `Sec-Fetch-Site` who asked; programs such as `curl` send no such header. This module
//! knows no keys: the key is checked after this.
//! <https://www.w3.org/TR/fetch-metadata/>

use crate::event::Event;
use crate::page::Addresses;

/// What a request may do, by who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The member, a program or our own page made the request: the function does what it asks for.
    Act,
    /// A link on another site: the function shows the page, and the member decides with its button.
    ShowPage,
    /// Any other request that another site made: the function refuses it.
    Refuse,
}

/// Decides by the headers that browsers set and scripts cannot.
#[must_use]
pub fn decide(event: &Event, addresses: &Addresses) -> Decision {
    match event.header("sec-fetch-site") {
        // A typed URL or a bookmark is `none`. Node's fetch sends `Sec-Fetch-Mode` but no site.
        None | Some("none" | "same-origin") => return Decision::Act,
        Some(_) => {}
    }
    // The page asks both of our APIs, and each of them is another site to the other one.
    let origin = event.header("origin");
    if origin.is_some() && origin == addresses.peer_origin() {
        return Decision::Act;
    }
    let navigates = event.header("sec-fetch-mode") == Some("navigate")
        && event.header("sec-fetch-dest") == Some("document");
    if navigates && event.method() == "GET" { Decision::ShowPage } else { Decision::Refuse }
}

#[cfg(test)]
mod tests {
    use super::Decision::{Act, Refuse, ShowPage};
    use super::*;
    use crate::page::Hosting;
    use serde_json::json;

    const OWN: &str = "https://a1.execute-api.eu-west-1.amazonaws.com";
    const PEER: &str = "https://b2.execute-api.eu-west-1.amazonaws.com";

    #[test]
    fn the_headers_decide_who_acts() {
        // Method, Sec-Fetch-Site, -Mode, -Dest, Origin; "" is absent.
        #[rustfmt::skip]
        let rows = [
            ("curl", "GET", "", "", "", "", Act),
            ("curl that posts", "POST", "", "", "", "", Act),
            ("fetch of Node", "POST", "", "cors", "", "", Act),
            ("a typed URL", "GET", "none", "navigate", "document", "", Act),
            ("a program in a browser", "POST", "none", "cors", "empty", "", Act),
            ("our script", "POST", "same-origin", "cors", "empty", OWN, Act),
            ("our form", "POST", "same-origin", "navigate", "document", "null", Act),
            ("our link", "GET", "same-origin", "navigate", "document", "", Act),
            ("the peer's script on AWS", "POST", "cross-site", "cors", "empty", PEER, Act),
            ("the peer's script here", "POST", "same-site", "cors", "empty", PEER, Act),
            ("the peer's GET", "GET", "cross-site", "cors", "empty", PEER, Act),
            ("a link elsewhere", "GET", "cross-site", "navigate", "document", "", ShowPage),
            ("a link on a sibling", "GET", "same-site", "navigate", "document", "", ShowPage),
            ("a site we do not know", "GET", "new", "navigate", "document", "", ShowPage),
            ("a form elsewhere", "POST", "cross-site", "navigate", "document", "https://evil.example", Refuse),
            ("a form without origin", "POST", "cross-site", "navigate", "document", "null", Refuse),
            ("a form on a sibling", "POST", "same-site", "navigate", "document", "https://c3.execute-api.eu-west-1.amazonaws.com", Refuse),
            ("an image", "GET", "cross-site", "no-cors", "image", "", Refuse),
            ("a frame", "GET", "cross-site", "navigate", "iframe", "", Refuse),
            ("an object", "GET", "cross-site", "navigate", "object", "", Refuse),
            ("a script elsewhere", "POST", "cross-site", "no-cors", "empty", "https://evil.example", Refuse),
            ("a CORS script elsewhere", "POST", "cross-site", "cors", "empty", "https://evil.example", Refuse),
            ("a beacon", "POST", "cross-site", "no-cors", "empty", "", Refuse),
            ("a HEAD", "HEAD", "cross-site", "navigate", "document", "", Refuse),
            ("an origin that begins like the peer", "POST", "cross-site", "cors", "empty", "https://b2.execute-api.eu-west-1.amazonaws.com.evil.example", Refuse),
            ("the peer over http", "POST", "cross-site", "cors", "empty", "http://b2.execute-api.eu-west-1.amazonaws.com", Refuse),
            ("our own origin from another site", "POST", "cross-site", "cors", "empty", OWN, Refuse),
            ("a site without a name", "GET", "cross-site", "", "", "", Refuse),
        ];
        for (what, method, site, mode, dest, origin, expected) in rows {
            let mut headers = json!({});
            for (name, value) in [
                ("sec-fetch-site", site),
                ("Sec-Fetch-Mode", mode),
                ("SEC-FETCH-DEST", dest),
                ("Origin", origin),
            ] {
                if !value.is_empty() {
                    headers[name] = value.into();
                }
            }
            let event = json!({
                "resource": "/add", "httpMethod": method, "headers": headers, "stageVariables": {"PEER_API_ID": "b2"},
                "requestContext": {"path": "/gate/add", "domainName": &OWN[8..], "apiId": "a1"},
            });
            let event = Event::read(&event.to_string());
            let hosting = Hosting { region: "eu-west-1".to_owned() };
            let addresses = Addresses::of(&event, &hosting);
            assert_eq!(addresses.peer_origin(), Some(PEER));
            assert_eq!(decide(&event, &addresses), expected, "{what}");
            // Without a peer nobody else's origin is trusted.
            if expected == Act && origin == PEER {
                assert_eq!(decide(&event, &Addresses::default()), Refuse, "{what}");
            } else {
                assert_eq!(decide(&event, &Addresses::default()), expected, "{what}");
            }
        }
    }
}
