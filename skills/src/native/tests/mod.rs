//! What holds for every native skill.

mod commits;
mod place;
mod rules;
mod running;
mod smoke;

use std::time::Duration;

use super::*;
use crate::contract::{Gives, Registry, testing};

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
            let came = result.as_ref().map_err(|failure| failure.class);
            assert!(example.gives.fits(came), "{title}: {:?} was said, {result:?} came", example.gives);
            if let Ok(output) = &result {
                entry.check_output(output).unwrap_or_else(|failure| panic!("{title}: {failure}"));
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
