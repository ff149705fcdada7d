//! What this function reads of an API Gateway REST proxy event (payload 1.0), with every field allowed to be absent.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

type One = Option<HashMap<String, Option<String>>>;
type Many = Option<HashMap<String, Option<Vec<String>>>>;

/// The event.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    resource: Option<String>,
    path: Option<String>,
    http_method: Option<String>,
    headers: One,
    multi_value_headers: Many,
    query_string_parameters: One,
    multi_value_query_string_parameters: Many,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    stage_variables: One,
    request_context: Option<RequestContext>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    path: Option<String>,
    domain_name: Option<String>,
    identity: Option<Identity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
}

fn find<'e>(one: &'e One, many: &'e Many, same: impl Fn(&str) -> bool) -> Option<&'e str> {
    let single = one
        .iter()
        .flatten()
        .find(|(name, _)| same(name))
        .and_then(|(_, value)| value.as_deref());
    let several = || {
        many.iter()
            .flatten()
            .find(|(name, _)| same(name))
            .and_then(|(_, values)| values.as_ref()?.first())
    };
    single.or_else(|| several().map(String::as_str))
}

impl Event {
    /// The resource of the API that was called, such as `/add`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.resource
            .as_deref()
            .or(self.path.as_deref())
            .unwrap_or_default()
    }

    /// The path as browsers see it, stage included.
    #[must_use]
    pub fn path(&self) -> &str {
        let public = self
            .request_context
            .as_ref()
            .and_then(|context| context.path.as_deref());
        public.or(self.path.as_deref()).unwrap_or("/")
    }

    /// The scheme and host of this API. API Gateway is only ever reached by HTTPS; where it does not tell its name, as
    /// emulators may not, the caller's `Host` serves, and a forged one deceives only the forger.
    #[must_use]
    pub fn host(&self) -> (&str, &str) {
        match self
            .request_context
            .as_ref()
            .and_then(|context| context.domain_name.as_deref())
        {
            Some(name) => ("https", name),
            None => (
                self.header("x-forwarded-proto").unwrap_or("http"),
                self.header("host").unwrap_or_default(),
            ),
        }
    }

    /// A variable of the API's stage.
    #[must_use]
    pub fn stage_variable(&self, name: &str) -> Option<&str> {
        self.stage_variables.as_ref()?.get(name)?.as_deref()
    }

    /// The HTTP method in capitals.
    #[must_use]
    pub fn method(&self) -> String {
        self.http_method
            .as_deref()
            .unwrap_or_default()
            .to_ascii_uppercase()
    }

    /// A header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, &self.multi_value_headers, |candidate| {
            candidate.eq_ignore_ascii_case(name)
        })
    }

    /// A parameter of the query string, decoded by API Gateway.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        find(
            &self.query_string_parameters,
            &self.multi_value_query_string_parameters,
            |candidate| candidate == name,
        )
    }

    /// A field of a form that was posted.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<String> {
        let form = self.header("content-type").is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            })
        });
        let body = self.body.as_deref().filter(|_| form)?;
        let bytes: Cow<'_, [u8]> = if self.is_base64_encoded == Some(true) {
            Cow::Owned(STANDARD.decode(body).ok()?)
        } else {
            Cow::Borrowed(body.as_bytes())
        };
        form_urlencoded::parse(&bytes)
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The caller's address as API Gateway saw it; headers can be forged and are never asked.
    #[must_use]
    pub fn source_ip(&self) -> Option<&str> {
        self.request_context
            .as_ref()?
            .identity
            .as_ref()?
            .source_ip
            .as_deref()
    }

    /// The member key: the first present of `Authorization: Bearer`, `x-api-key`, `?key=` and the form field `key`.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        let bearer = self.header("authorization").and_then(|value| {
            let value = value.trim();
            let (scheme, key) = value.split_once(' ').unwrap_or((value, ""));
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        let given = bearer
            .or_else(|| self.header("x-api-key"))
            .or_else(|| self.query("key"));
        given.map(str::to_owned).or_else(|| self.form("key"))
    }

    /// Whether a browser asks before its user does, or a program looks at a link that somebody posted.
    #[must_use]
    pub fn is_prefetch(&self) -> bool {
        let purposes = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
            .into_iter()
            .filter_map(|name| self.header(name));
        let ahead = |value: &str| {
            ["prefetch", "prerender", "preview"]
                .iter()
                .any(|word| value.to_ascii_lowercase().contains(word))
        };
        let agent = self
            .header("user-agent")
            .unwrap_or_default()
            .to_ascii_lowercase();
        purposes.into_iter().any(ahead) || LINK_PREVIEWS.iter().any(|name| agent.contains(name))
    }
}

/// Programs that fetch links out of messages to show a preview, by a part of their user agent in lower case.
const LINK_PREVIEWS: [&str; 25] = [
    "applebot",
    "bingbot",
    "bingpreview",
    "bitlybot",
    "discordbot",
    "embedly",
    "facebookexternalhit",
    "facebot",
    "googlebot",
    "google-pagerenderer",
    "google-safety",
    "iframely",
    "kakaotalk-scrap",
    "line-poker",
    "linkedinbot",
    "mattermost-bot",
    "microsoftpreview",
    "redditbot",
    "skypeuripreview",
    "slackbot",
    "slack-imgproxy",
    "telegrambot",
    "twitterbot",
    "vkshare",
    "whatsapp",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: serde_json::Value) -> Event {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn absent_and_null_fields_are_tolerated() {
        for json in [
            serde_json::json!({}),
            serde_json::json!({"headers": null, "multiValueHeaders": null, "queryStringParameters": null, "body": null, "isBase64Encoded": null, "requestContext": null}),
            serde_json::json!({"headers": {"a": null}, "multiValueHeaders": {"a": null}, "requestContext": {"identity": null}}),
        ] {
            let event = event(json);
            assert_eq!(
                (
                    event.key(),
                    event.source_ip(),
                    event.header("a"),
                    event.is_prefetch()
                ),
                (None, None, None, false)
            );
        }
    }

    #[test]
    fn only_the_first_key_that_is_present_counts() {
        let all = serde_json::json!({
            "headers": {"AUTHORIZATION": "bEaReR  one ", "X-Api-Key": "two", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
            "queryStringParameters": {"key": "three"}, "body": "x=1&key=four%2B",
        });
        let key = |edit: fn(&mut serde_json::Value)| {
            let mut json = all.clone();
            edit(&mut json);
            event(json).key()
        };
        assert_eq!(key(|_| ()).unwrap(), "one");
        assert_eq!(
            key(|e| e["headers"]["AUTHORIZATION"] = "Basic eDp5".into()).unwrap(),
            "two"
        );
        assert_eq!(
            key(|e| e["headers"]["AUTHORIZATION"] = "Bearer ".into()).unwrap(),
            ""
        );
        let no_headers: fn(&mut serde_json::Value) = |e| {
            e["headers"] = serde_json::json!({"content-type": "application/x-www-form-urlencoded"})
        };
        assert_eq!(key(no_headers).unwrap(), "three");
        let mut form = all.clone();
        no_headers(&mut form);
        form["queryStringParameters"] = serde_json::Value::Null;
        assert_eq!(event(form.clone()).key().unwrap(), "four+");
        form["body"] = STANDARD.encode("key=five").into();
        form["isBase64Encoded"] = true.into();
        assert_eq!(event(form.clone()).key().unwrap(), "five");
        form["headers"] = serde_json::json!({"content-type": "application/json"});
        assert_eq!(event(form).key(), None);
    }

    #[test]
    fn browsers_that_look_ahead_and_link_previews_are_recognised() {
        for (name, value) in [
            ("Sec-Purpose", "prefetch;prerender"),
            ("purpose", "Prefetch"),
            ("X-Moz", "prefetch"),
            ("X-Purpose", "preview"),
            (
                "User-Agent",
                "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            ),
            ("user-agent", "facebookexternalhit/1.1;line-poker/1.0"),
            (
                "User-Agent",
                "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
            ),
            ("User-Agent", "WhatsApp/2.23"),
        ] {
            assert!(
                event(serde_json::json!({"headers": {name: value}})).is_prefetch(),
                "{name}: {value}"
            );
            assert!(
                event(serde_json::json!({"multiValueHeaders": {name: [value]}})).is_prefetch(),
                "{name}: {value}"
            );
        }
        for agent in [
            "curl/8.5.0",
            "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
        ] {
            assert!(!event(serde_json::json!({"headers": {"User-Agent": agent, "Sec-Fetch-Mode": "navigate"}})).is_prefetch());
        }
    }
}
