//! What this function reads of an API Gateway REST proxy event (payload 1.0).
//!
//! A stranger decides what is in an event, so reading one never fails. A field of an unexpected type is absent, and
//! text that is not JSON is an event without fields, which no route takes.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>

mod json;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use json::Json;

/// Names and values in the order of the event.
type Pairs = Vec<(String, String)>;

/// The fields of the event that this function reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    resource: Option<String>,
    path: Option<String>,
    method: Option<String>,
    headers: Pairs,
    query: Pairs,
    stage_variables: Pairs,
    body: Option<String>,
    is_base64_encoded: bool,
    public_path: Option<String>,
    domain_name: Option<String>,
    api_id: Option<String>,
    source_ip: Option<String>,
}

impl Event {
    /// Reads an event from its JSON text.
    ///
    /// ```
    /// use add_ip::event::Event;
    ///
    /// let event = Event::read(r#"{"resource": "/add", "httpMethod": "get", "headers": 7}"#);
    /// assert_eq!((event.resource(), event.method().as_str()), ("/add", "GET"));
    /// assert_eq!(Event::read("no JSON"), Event::default());
    /// ```
    #[must_use]
    pub fn read(payload: &str) -> Self {
        serde_json::from_str(payload).map_or_else(|_| Self::default(), Self::of)
    }

    fn of(mut event: Json) -> Self {
        let mut context = event.take("requestContext");
        // The maps with one value per name are asked first, as API Gateway sends both.
        let mut pairs = |single_value: &str, multi_value: &str| {
            let mut pairs = event.take(single_value).pairs();
            pairs.append(&mut event.take(multi_value).pairs());
            pairs
        };
        Self {
            headers: pairs("headers", "multiValueHeaders"),
            query: pairs("queryStringParameters", "multiValueQueryStringParameters"),
            stage_variables: event.take("stageVariables").pairs(),
            resource: event.take("resource").text(),
            path: event.take("path").text(),
            method: event.take("httpMethod").text(),
            body: event.take("body").text(),
            is_base64_encoded: event.take("isBase64Encoded").is_true(),
            public_path: context.take("path").text(),
            domain_name: context.take("domainName").text(),
            api_id: context.take("apiId").text(),
            source_ip: context.take("identity").take("sourceIp").text(),
        }
    }

    /// The resource of the API that was called, such as `/add`.
    #[must_use]
    pub fn resource(&self) -> &str {
        let resource = self.resource.as_deref().or(self.path.as_deref());
        resource.unwrap_or_default()
    }

    /// The path as browsers see it, with the stage.
    #[must_use]
    pub fn path(&self) -> &str {
        let path = self.public_path.as_deref().or(self.path.as_deref());
        path.unwrap_or("/")
    }

    /// The scheme and the host of this API. API Gateway is reached by HTTPS only. An emulator may
    /// send no name: then the `Host` header is used. A caller who forges it deceives only
    /// themselves.
    #[must_use]
    pub fn host(&self) -> (&'static str, &str) {
        match self.domain_name.as_deref() {
            Some(name) => ("https", name),
            None if self.header("x-forwarded-proto") == Some("https") => {
                ("https", self.header("host").unwrap_or_default())
            }
            None => ("http", self.header("host").unwrap_or_default()),
        }
    }

    /// The id of the API that was called.
    #[must_use]
    pub fn api_id(&self) -> Option<&str> {
        self.api_id.as_deref()
    }

    /// A variable of the API's stage.
    #[must_use]
    pub fn stage_variable(&self, name: &str) -> Option<&str> {
        find(&self.stage_variables, |candidate| candidate == name)
    }

    /// The HTTP method in capitals.
    #[must_use]
    pub fn method(&self) -> String {
        let method = self.method.as_deref().unwrap_or_default();
        method.to_ascii_uppercase()
    }

    /// A header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, |candidate| candidate.eq_ignore_ascii_case(name))
    }

    /// A parameter such as `ip`, `for`, `network` or `all`: of the query string, else of the form that was posted.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query(name).map(Cow::Borrowed).or_else(|| self.form(name).map(Cow::Owned))
    }

    /// A parameter of the query string, which API Gateway has decoded.
    fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, |candidate| candidate == name)
    }

    /// A field of a form that was posted.
    fn form(&self, name: &str) -> Option<String> {
        let content_type = self.header("content-type")?.split(';').next()?;
        if !content_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return None;
        }
        let body = self.body.as_deref()?;
        let bytes: Cow<'_, [u8]> = if self.is_base64_encoded {
            Cow::Owned(STANDARD.decode(body).ok()?)
        } else {
            Cow::Borrowed(body.as_bytes())
        };
        form_urlencoded::parse(&bytes)
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The caller's address as API Gateway saw it. Headers can be forged, so they are never asked.
    #[must_use]
    pub fn source_ip(&self) -> Option<&str> {
        self.source_ip.as_deref()
    }

    /// The member key: the first present of `Authorization: Bearer`, `x-api-key`, `?key=` and the form field `key`.
    #[must_use]
    pub fn key(&self) -> Option<Cow<'_, str>> {
        self.header_key().map(Cow::Borrowed).or_else(|| self.parameter("key"))
    }

    /// The member key, if a browser's form or link sent it. An answer page may give it back to that
    /// browser. A key from a header is never repeated.
    #[must_use]
    pub fn form_key(&self) -> Option<Cow<'_, str>> {
        if self.header_key().is_some() {
            return None;
        }
        self.parameter("key")
    }

    fn header_key(&self) -> Option<&str> {
        let bearer = self.header("authorization").and_then(|value| {
            let value = value.trim();
            let (scheme, key) = value.split_once(' ').unwrap_or((value, ""));
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        bearer.or_else(|| self.header("x-api-key"))
    }

    /// Whether a browser asks before its user does, or a program fetches a link to show a preview of it.
    #[must_use]
    pub fn is_prefetch(&self) -> bool {
        let ahead = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
            .into_iter()
            .filter_map(|name| self.header(name))
            .any(|value| {
                let value = value.to_ascii_lowercase();
                ["prefetch", "prerender", "preview"].iter().any(|word| value.contains(word))
            });
        let agent = self.header("user-agent").unwrap_or_default();
        let agent = agent.to_ascii_lowercase();
        ahead || LINK_PREVIEWS.iter().any(|name| agent.contains(name))
    }
}

fn find(pairs: &Pairs, same: impl Fn(&str) -> bool) -> Option<&str> {
    let (_, value) = pairs.iter().find(|(name, _)| same(name))?;
    Some(value)
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
