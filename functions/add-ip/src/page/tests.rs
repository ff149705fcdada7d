//! The page as browsers get it, by way of the answers that it is made for.

use super::*;
use crate::event::Event;
use crate::http::{Answer, Refusal, Request};
use serde_json::json;

const DAILY: &str = "every day at 00:00 Asia/Tokyo";

fn settings() -> Settings {
    Settings {
        reset_description: DAILY.to_owned(),
        reset_schedule: "cron(0 0 * * ? *)".to_owned(),
        reset_time_zone: "Asia/Tokyo".to_owned(),
        max_entry_hours: 24,
        open_access: false,
    }
}

fn request<T>(more: &Value, settings: &Settings, act: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut event = json!({
        "resource": "/add", "httpMethod": "POST", "headers": {"Accept": "text/html"}, "stageVariables": {"PEER_API_ID": "b2"},
        "requestContext": {"path": "/gate/add", "domainName": "a1.execute-api.eu-west-1.amazonaws.com", "apiId": "a1", "identity": {"sourceIp": "51.44.71.80"}},
    });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    let hosting = Hosting { region: "eu-west-1".to_owned() };
    let event = Event::read(&event.to_string());
    act(&Request::new(&event, &hosting, settings))
}

fn japanese() -> Value {
    json!({"headers": {"Accept": "text/html", "Accept-Language": "ja"}})
}

fn answer(more: &Value, body: Value) -> String {
    let respond = |request: &Request<'_>| Answer::ok(body).respond(request).body;
    request(more, &settings(), respond)
}

fn start(more: &Value) -> String {
    request(more, &settings(), |request| request.page().body)
}

#[track_caller]
fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn an_added_network_is_in_until_its_end() {
    let body = json!({"status": "added", "network": "51.44.71.80/32", "member": "alice", "ends": "2026-11-24T12:00:00Z", "targets": []});
    let text = answer(&json!({}), body.clone());
    let time = r#"until <time datetime="2026-11-24T12:00:00Z">2026-11-24 12:00 UTC</time>"#;
    assert_holds(&text, &["You are in", r#"class="in""#, "51.44.71.80/32", time]);
    assert_holds(&text, &["AWS may take some seconds", DAILY]);
    let text = answer(&japanese(), body);
    assert_holds(&text, &["許可されています", "2026-11-24 12:00 UTC</time>まで"]);
}

#[test]
fn a_network_without_an_end_is_in_until_the_reset() {
    let body = json!({"status": "already_allowed", "network": "51.44.71.80/32", "member": "alice", "ends": null, "targets": []});
    let text = answer(&json!({}), body);
    assert_holds(&text, &["You are in", "until the next reset", DAILY]);
    assert!(!text.contains("<p>AWS may take"), "{text}");
}

#[test]
fn a_permanent_network_is_in_for_good() {
    let body = json!({"network": "51.44.71.80/32", "allowed": true, "granted_at": null, "ends": null, "members": [], "entries": []});
    let text = answer(&json!({}), body);
    assert_holds(&text, &["You are in", "<p id=\"until\">This address is always allowed."]);
    assert!(!text.contains("Every entry ends"), "{text}");
    assert_holds(&text, &[r#"<section id="entries" hidden>"#]);
}

#[test]
fn an_entry_without_a_name_is_not_permanent() {
    let body = json!({"network": "51.44.71.80/32", "allowed": true, "granted_at": "2026-11-24T08:00:00Z", "ends": null, "members": [], "entries": []});
    assert_holds(&answer(&json!({}), body), &["You are in", "until the next reset", DAILY]);
}

#[test]
fn a_status_shows_the_own_entries_with_a_button_each() {
    let body = json!({
        "network": "51.44.71.80/32", "allowed": false, "granted_at": null, "ends": null, "members": [],
        "entries": [
            {"network": "203.0.113.9/32", "granted_at": "2026-11-24T08:00:00Z", "ends": null},
            {"network": "51.44.71.80/32", "granted_at": "2026-11-24T08:00:00Z", "ends": "2026-11-24T12:00:00Z"},
        ],
    });
    let form = json!({
        "headers": {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}, "body": "key=secret&for=1h",
    });
    let text = answer(&form, body);
    assert_holds(&text, &["You are not in yet", r#"class="out""#, r#"action="/gate/remove""#]);
    assert_holds(&text, &[r#"name="network" value="203.0.113.9/32""#]);
    // The next click needs the key again, and the choice stays.
    assert_eq!(text.matches(r#"name="key" value="secret""#).count(), 3);
    assert_holds(&text, &[r#"name="for" value="1h" checked"#]);
    let mark = "<em>this device</em>";
    let here = text.find(mark).unwrap();
    assert!(here > text.find("<code>51.44.71.80/32</code> <em>").unwrap());
    assert_eq!(text.matches(mark).count(), 1);
}

#[test]
fn a_removal_says_what_stays() {
    let body = json!({
        "status": "removed", "removed": ["51.44.71.80/32"], "targets": [],
        "kept": [{"network": "203.0.113.9/32", "reason": "permanent"}, {"network": "203.0.113.10/32", "reason": "granted_to_others"}],
    });
    let text = answer(&json!({}), body.clone());
    assert_holds(
        &text,
        &[
            "Removed</h2>",
            "51.44.71.80/32 was removed.",
            "203.0.113.9/32 stays: it is always allowed.",
            "203.0.113.10/32 stays: other members have it too.",
        ],
    );
    assert_holds(&answer(&japanese(), body), &["削除しました", "203.0.113.9/32 は常に許可"]);
    let nothing = json!({"status": "unchanged", "removed": [], "kept": [], "targets": []});
    assert_holds(&answer(&json!({}), nothing), &["Nothing to remove"]);
}

#[test]
fn a_refusal_says_what_to_do() {
    let refusal = |more: &Value| {
        let respond = |request: &Request<'_>| Refusal::Unauthorized.answer().respond(request);
        request(more, &settings(), respond)
    };
    let english = refusal(&json!({}));
    assert_eq!(english.status_code, 401);
    assert_holds(
        &english.body,
        &["That did not work", "a valid member key is needed", r#"class="bad""#],
    );
    assert_holds(&refusal(&japanese()).body, &["うまくいきませんでした", "有効なキーが必要です"]);
}

#[test]
fn a_link_of_another_site_fills_the_form() {
    let link =
        json!({"queryStringParameters": {"key": "secret", "for": "2h", "ip": "198.51.100.0/24"}});
    let text = start(&link);
    assert_holds(
        &text,
        &[
            "Nothing has changed yet",
            r#"<p id="secret" hidden>"#,
            r#"type="password" value="secret""#,
            r#"name="for" value="2h" checked"#,
            r#"name="ip" value="198.51.100.0/24""#,
            "<code>198.51.100.0/24</code>",
        ],
    );
}

#[test]
fn a_key_that_was_refused_is_asked_for_anew() {
    let link = json!({"queryStringParameters": {"key": "s3cr3t"}});
    for refusal in [Refusal::Unauthorized, Refusal::CrossSite, Refusal::Prefetch, Refusal::NotFound]
    {
        let respond = |request: &Request<'_>| refusal.answer().respond(request).body;
        let text = request(&link, &settings(), respond);
        assert!(!text.contains("s3cr3t"), "{text}");
        assert_holds(&text, &[r#"<p id="secret">"#]);
    }
}

#[test]
fn a_key_from_a_header_is_never_repeated() {
    let headers = json!({"headers": {"Accept": "text/html", "Authorization": "Bearer hidden", "x-api-key": "hidden"}, "queryStringParameters": {"key": "hidden"}});
    let body = json!({"status": "added", "network": "51.44.71.80/32", "ends": null});
    assert!(!answer(&headers, body).contains("value=\"hidden"));
}

#[test]
fn nobody_elses_words_stand_on_the_page() {
    for text in ["call 555", "<b>", "\"><script>alert(1)</script>", "１h", &"1".repeat(80)] {
        let link = json!({"queryStringParameters": {"for": text, "ip": text, "key": text}});
        let page = start(&link);
        assert_eq!(page.matches(r#"type="radio""#).count(), 3, "{text}");
        assert!(!page.contains(r#"name="ip""#), "{text}");
        assert_holds(&page, &[r#"name="for" value="" checked"#]);
        assert!(!text.contains('<') || !page.contains(text), "{page}");
    }
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let settings = Settings {
        reset_description: "<i>\"daily".to_owned(),
        reset_schedule: "<s>".to_owned(),
        reset_time_zone: "\"><u>".to_owned(),
        ..settings()
    };
    let odd = json!({"requestContext": {"path": "/\"><script>/", "identity": {"sourceIp": "<b>"}}, "resource": "/"});
    let text = request(&odd, &settings, |request| request.page().body);
    for part in ["<i>", "<s>", "<u>", "<b>", "\"><script>"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    let body = json!({"network": "<b>", "allowed": true, "ends": "<i>", "members": ["<u>"], "entries": [{"network": "<s>", "ends": "\"><u>"}], "error": "<b>"});
    let text = answer(&json!({}), body);
    for part in ["<i>", "<s>", "<u>", "<b>"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

#[test]
fn answers_of_another_shape_still_make_a_page() {
    for body in [
        json!(null),
        json!([]),
        json!({"removed": 1, "kept": [1, {}]}),
        json!({"entries": [1, {}], "ends": 5, "members": 1}),
    ] {
        assert_holds(&answer(&json!({}), body), &["<!DOCTYPE html>", "</html>"]);
    }
}

#[test]
fn the_longest_time_bounds_the_choice() {
    for (max_entry_hours, choices) in [(24, 3), (4, 3), (3, 2), (1, 2)] {
        let settings = Settings { max_entry_hours, ..settings() };
        let text = request(&json!({}), &settings, |request| request.page().body);
        assert_eq!(text.matches(r#"type="radio""#).count(), choices);
    }
}

#[test]
fn the_page_is_under_20_kilobytes() {
    for language in ["en", "ja"] {
        let text = start(&json!({"headers": {"Accept-Language": language}}));
        assert!(text.len() < 20_000, "{language}: {}", text.len());
    }
}

#[test]
fn the_page_loads_nothing_and_runs_only_what_its_policy_names() {
    let text = start(&json!({}));
    for part in [" onclick", " style=", " src=", "<link", "url(", "@import", "eval("] {
        assert!(!text.contains(part), "{part}");
    }
    let policy = security_policy(&Addresses::default());
    for (open, close) in [("<script>", "</script>"), ("<style>", "</style>")] {
        let (_, rest) = text.split_once(open).unwrap();
        let (held, _) = rest.split_once(close).unwrap();
        assert!(policy.contains(&source(held)), "{open}");
    }
    assert!(policy.contains("default-src 'none'; ") && !policy.contains("unsafe"));
    assert!(policy.contains("connect-src 'self'; "), "{policy}");
}

/// [`compact`] knows nothing of JavaScript, so the script must not hold what it would change.
#[test]
fn the_script_bears_to_be_made_compact() {
    for line in include_str!("page.js").lines() {
        let code = line.trim();
        assert_eq!(code.matches('`').count() % 2, 0, "a template over several lines: {code}");
        for quoted in code.split(['"', '`']).skip(1).step_by(2) {
            assert!(!quoted.contains("=> ") && !quoted.contains("=== "), "{code}");
        }
        assert!(code.starts_with("//") || !code.contains(" // "), "{code}");
    }
}
