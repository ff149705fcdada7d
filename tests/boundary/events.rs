//! The sample events in `tests/events/`, which people send with `cargo lambda invoke` and in the console of Lambda.

use crate::*;

fn sample(name: &str) -> Value {
    let file = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_sample_event_does_what_its_name_says() {
    let script = Script::new(office());
    let ask = async |name: &str| script.caller(1).event(add_config(&[]), sample(name)).await;
    assert_eq!(ask("add").await.word(), "added");
    assert_eq!(ask("status").await.body["allowed"], true);
    assert_eq!(ask("add-by-a-stranger").await.status, 401);
    assert!(ask("page").await.body.as_str().unwrap().contains("lang=\"ja\""));
    pass(2).await;
    assert_ne!(ask("add-for-two-hours").await.body["ends"], Value::Null);
    assert_eq!(ask("remove").await.word(), "removed");
    for (name, status) in [
        ("reset", "unchanged"),
        ("list", "listed"),
        ("expire", "unchanged"),
        ("revoke-member", "unchanged"),
    ] {
        assert_eq!(command(&script, sample(name)).await["status"], status, "{name}");
    }
    pass(70).await;
    for (name, status) in [("reset-dry-run", "would_reset"), ("revoke", "revoked")] {
        assert_eq!(ask("add").await.word(), "added");
        assert_eq!(command(&script, sample(name)).await["status"], status, "{name}");
        command(&script, json!({})).await;
    }
}

#[test]
fn every_sample_event_is_tried() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let this = include_str!("events.rs");
    for name in names {
        let name = name.into_string().unwrap().replace(".json", "");
        assert!(this.contains(&format!("\"{name}\"")), "{name}");
    }
}
