//! Events as a stranger may send them.

use super::*;
use serde_json::{Value, json};

fn event(json: &Value) -> Event {
    Event::read(&json.to_string())
}

#[test]
fn every_field_is_read() {
    let event = event(&json!({
        "resource": "/add", "path": "/add", "httpMethod": "post",
        "headers": {"Host": "a1.example"}, "multiValueHeaders": {"X-More": ["1", "2"]},
        "queryStringParameters": {"ip": "1.1.1.1"}, "multiValueQueryStringParameters": {"for": ["2h", "3h"]},
        "stageVariables": {"PEER_API_ID": "b2"},
        "requestContext": {"path": "/gate/add", "domainName": "a1.x", "apiId": "a1", "identity": {"sourceIp": "51.44.71.80"}},
    }));
    assert_eq!(
        (event.resource(), event.path(), event.method().as_str()),
        ("/add", "/gate/add", "POST")
    );
    assert_eq!(event.host(), ("https", "a1.x"));
    assert_eq!((event.api_id(), event.source_ip()), (Some("a1"), Some("51.44.71.80")));
    assert_eq!(event.stage_variable("PEER_API_ID"), Some("b2"));
    assert_eq!(event.header("x-more"), Some("1"));
    assert_eq!(event.parameter("ip").unwrap(), "1.1.1.1");
    assert_eq!(event.parameter("for").unwrap(), "2h");
    assert_eq!(event.parameter("network"), None);
}

#[test]
fn text_that_is_no_json_is_an_event_without_fields() {
    let deep = "[".repeat(100_000);
    for text in [
        "",
        " ",
        "{",
        "nonsense",
        "{} {}",
        r#"{"resource": "/add",}"#,
        r#"{"resource": "/add", "body": "\ud800"}"#,
        r#"{"resource": "/add", "\udc00": 1}"#,
        "{\"resource\": \"/add\", \"body\": \"\u{1}\"}",
        deep.as_str(),
    ] {
        assert_eq!(Event::read(text), Event::default(), "{text:.40}");
    }
    assert_eq!(Event::default().resource(), "");
}

#[test]
fn json_that_is_no_object_is_an_event_without_fields() {
    for text in ["null", "7", "-1.5e400", "true", "\"/add\"", "[]", "[{}]", "{}"] {
        assert_eq!(Event::read(text), Event::default(), "{text}");
    }
}

#[test]
fn a_field_of_another_type_is_absent_while_the_others_stand() {
    let whole = json!({
        "resource": "/add", "path": "/add", "httpMethod": "POST", "headers": {"a": "1"}, "multiValueHeaders": {"b": ["1"]},
        "queryStringParameters": {"a": "1"}, "multiValueQueryStringParameters": {"b": ["1"]}, "stageVariables": {"a": "1"},
        "body": "text", "isBase64Encoded": true,
        "requestContext": {"path": "/gate/add", "domainName": "a1.x", "apiId": "a1", "identity": {"sourceIp": "51.44.71.80"}},
    });
    let odd = [
        json!(null),
        json!(true),
        json!(12),
        json!(-1.5),
        json!([1, [2], {"a": 3}]),
        json!({"a": {"b": {}}, "c": [[]], "identity": 4}),
        json!("text"),
    ];
    let untouched = event(&whole);
    assert_ne!(untouched, Event::default());
    for field in whole.as_object().unwrap().keys() {
        for value in &odd {
            let mut changed = whole.clone();
            changed[field] = value.clone();
            let read = event(&changed);
            // Only this field has changed.
            changed[field] = whole[field].clone();
            assert_eq!(event(&changed), untouched);
            assert!(read.resource() == "/add" || field == "resource", "{field}: {value}");
            assert!(read.source_ip().is_some() || field == "requestContext", "{field}: {value}");
            assert!(read.header("b").is_some() || field == "multiValueHeaders", "{field}: {value}");
        }
    }
}

#[test]
fn absent_fields_are_tolerated() {
    for json in [
        json!({}),
        json!({"headers": null, "multiValueHeaders": null, "queryStringParameters": null, "body": null, "isBase64Encoded": null, "requestContext": null}),
        json!({"headers": {"a": null}, "multiValueHeaders": {"a": null}, "requestContext": {"identity": null}}),
        json!({"headers": {"a": 1}, "multiValueHeaders": {"a": []}, "queryStringParameters": {"key": ["x"]}}),
    ] {
        let event = event(&json);
        assert_eq!(
            (event.source_ip(), event.header("a"), event.is_prefetch()),
            (None, None, false),
            "{json}"
        );
    }
}

/// With `arbitrary_precision` serde_json takes an object whose first key is this token for a number, and fails.
#[test]
fn the_number_token_of_serde_json_is_a_name_like_any_other() {
    let token = "$serde_json::private::Number";
    for value in [r#""x""#, r#""12""#, "7", "null", "[]", "{}"] {
        let pair = format!(r#"{{"{token}": {value}}}"#);
        for field in ["queryStringParameters", "headers", "body", "requestContext"] {
            let event = Event::read(&format!(
                r#"{{"{field}": {pair}, "resource": "/", "httpMethod": "GET"}}"#
            ));
            assert_eq!((event.resource(), event.method().as_str()), ("/", "GET"));
        }
        assert_eq!(Event::read(&pair), Event::default());
    }
    let event = event(&json!({"queryStringParameters": {token: "x"}}));
    assert_eq!(event.parameter(token).unwrap(), "x");
}

#[test]
fn of_two_fields_with_one_name_the_last_counts() {
    let event = Event::read(
        r#"{"resource": "/add", "resource": "/status", "requestContext": {"identity": {"sourceIp": "9.9.9.9"}}, "requestContext": {"identity": {"sourceIp": "1.1.1.1", "sourceIp": "2.2.2.2"}}}"#,
    );
    assert_eq!((event.resource(), event.source_ip()), ("/status", Some("2.2.2.2")));
}

#[test]
fn only_the_first_key_that_is_present_counts() {
    let all = json!({
        "headers": {"AUTHORIZATION": "bEaReR  one ", "X-Api-Key": "two", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        "queryStringParameters": {"key": "three"}, "body": "x=1&key=four%2B",
    });
    let key = |edit: &dyn Fn(&mut Value)| {
        let mut json = all.clone();
        edit(&mut json);
        let event = event(&json);
        let text = |key: Option<Cow<'_, str>>| key.map(Cow::into_owned);
        (text(event.key()), text(event.form_key()))
    };
    let authorization = |value: &str| {
        let (key, in_form) = key(&|e| e["headers"]["AUTHORIZATION"] = value.into());
        assert_eq!(in_form, None, "a header's key is not handed back");
        key.unwrap()
    };
    assert_eq!(authorization("bEaReR  one "), "one");
    assert_eq!(authorization("Basic eDp5"), "two");
    assert_eq!(authorization("Bearer "), "");
    assert_eq!(authorization("Bearer"), "");
    let form = json!({"content-type": "application/x-www-form-urlencoded"});
    let both = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
    assert_eq!(key(&|e| e["headers"] = form.clone()), both("three"));
    let posted = |e: &mut Value| {
        e["headers"] = form.clone();
        e["queryStringParameters"] = Value::Null;
    };
    assert_eq!(key(&posted), both("four+"));
    let encoded = |e: &mut Value| {
        posted(e);
        e["body"] = STANDARD.encode("key=five").into();
        e["isBase64Encoded"] = true.into();
    };
    assert_eq!(key(&encoded), both("five"));
    let no_form = |e: &mut Value| {
        posted(e);
        e["headers"] = json!({"content-type": "application/json"});
    };
    assert_eq!(key(&no_form), (None, None));
}

#[test]
fn a_parameter_of_the_query_string_goes_before_the_form() {
    let event = event(&json!({
        "headers": {"content-type": "application/x-www-form-urlencoded"},
        "queryStringParameters": {"for": "1h"}, "body": "for=4h&network=51.44.71.80%2F32&all=true",
    }));
    let parameter = |name| event.parameter(name).unwrap_or_default().into_owned();
    assert_eq!(parameter("for"), "1h");
    assert_eq!(parameter("network"), "51.44.71.80/32");
    assert_eq!(parameter("all"), "true");
}

#[test]
fn a_look_ahead_is_recognised() {
    for (name, value) in [
        ("Sec-Purpose", "prefetch;prerender"),
        ("purpose", "Prefetch"),
        ("X-Moz", "prefetch"),
        ("X-Purpose", "preview"),
        ("User-Agent", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
        ("user-agent", "facebookexternalhit/1.1;line-poker/1.0"),
        ("User-Agent", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5"),
        ("User-Agent", "WhatsApp/2.23"),
    ] {
        assert!(event(&json!({"headers": {name: value}})).is_prefetch(), "{name}: {value}");
        assert!(
            event(&json!({"multiValueHeaders": {name: [value]}})).is_prefetch(),
            "{name}: {value}"
        );
    }
    for agent in [
        "curl/8.5.0",
        "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    ] {
        assert!(
            !event(&json!({"headers": {"User-Agent": agent, "Sec-Fetch-Mode": "navigate"}}))
                .is_prefetch()
        );
    }
}
