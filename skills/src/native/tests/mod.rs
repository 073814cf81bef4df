//! What holds for every native skill.

mod commits;
mod place;
mod running;
mod smoke;

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::contract::{Gives, Registry, testing};

/// Whether `whole` has at least what `part` has.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| holds(found, value)))
        }
        _ => whole == part,
    }
}

#[tokio::test]
async fn every_example_is_true() {
    let registry = place::Place::new().registry;
    for name in registry.names() {
        let entry = registry.get(name).unwrap();
        assert!(!entry.manifest().examples.is_empty(), "`{name}` shows no example");
        for example in &entry.manifest().examples {
            let title = format!("`{name}`: {}", example.title);
            entry.check_input(&example.input).unwrap_or_else(|failure| panic!("{title}: {failure}"));
            if let Gives::Output(output) = &example.gives
                && !example.alone
            {
                entry.check_output(output).unwrap_or_else(|failure| panic!("{title}: {failure}"));
            }
            if !example.alone {
                continue;
            }
            let result = entry.skill().call(testing::call(example.input.clone())).await;
            match (&example.gives, result) {
                (Gives::Output(expected), Ok(output)) => {
                    entry.check_output(&output).unwrap_or_else(|failure| panic!("{title}: {failure}"));
                    assert!(holds(&output, expected), "{title}: it gave {output}");
                }
                (Gives::Failure(class), Err(failure)) => assert_eq!(failure.class, *class, "{title}"),
                (expected, got) => panic!("{title}: {expected:?} was said, {got:?} came"),
            }
        }
    }
}

#[tokio::test]
async fn a_sleep_ends_at_once_when_nobody_waits_for_it() {
    let registry = Registry::new(general()).unwrap();
    let call = testing::call(serde_json::json!({"milliseconds": 600_000}));
    let cancelled = call.cancelled.clone();
    let sleep = registry.get("time.sleep").unwrap().skill().clone();
    let sleeping = mesh_kernel::task::spawn("sleep", async move { sleep.call(call).await });
    tokio::task::yield_now().await;
    cancelled.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), sleeping).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().code, "skill.cancelled");
}
