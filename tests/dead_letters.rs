//! A message that could not be handled lies among the dead letters, whole, and is handled once when it
//! is sent again.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Doomed, Node, NodeOptions};

const WATCHDOG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_shown_whole_and_handled_once_when_it_is_replayed() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    options.settings.push(("MESH_ACTORS_SLEEP_AFTER".to_owned(), "1s".to_owned()));
    let node = Node::start(&options)?;
    let mut client = node.client().await?;
    let key = client.issue("approver", &["approver"]).await?;
    let mut approver = Client::connect(&node.grpc, &key).await?;
    let Doomed { run_id, letters, damage } =
        Doomed::provoke(data.path(), "default", &mut client, &mut approver, "mark-of-the-doomed").await?;

    let [letter] = letters.as_slice() else { bail!("one message, {} letters: {letters:#?}", letters.len()) };
    let id = letter.dead_letter_id.clone();
    let (code, shown, error) = node.mesh(&["dead-letters", "get", &id, "--output", "json"])?;
    ensure!(code == 0, "{error}");
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    assert_eq!(shown["messageType"], "RecordApproval");
    ensure!(shown["envelope"]["payload"].is_string() || shown["envelope"]["payload"].is_object(), "{shown:#}");
    // The damage stops nobody else, and sending it again while it lasts changes nothing.
    let (code, _, error) = node.mesh(&["dead-letters", "replay", &id])?;
    ensure!(code != 0 && error.contains("quarantined"), "{code}: {error}");
    client.publish("name: other\nsteps: [{ id: a, skill: text.echo, with: { text: b } }]\n").await?;
    let other = client.submit("other", "other", &serde_json::json!({})).await?;
    assert_eq!(client.wait_for_end(&other, WATCHDOG).await?.state(), v1::RunState::Succeeded);

    damage.mend()?;
    let (code, _, error) = node.mesh(&["dead-letters", "replay", &id])?;
    ensure!(code == 0, "{error}");
    let ended = client.wait_for_end(&run_id, WATCHDOG).await?;
    assert_eq!(ended.state(), v1::RunState::Succeeded, "{:?}", ended.failure);

    // Each further letter about it says the same under the same key: nothing is done twice.
    let history = client.history(&run_id).await?;
    let listed = v1::ListDeadLettersRequest { include_replayed: true, ..Default::default() };
    for letter in client.dead_letters.list_dead_letters(listed).await?.into_inner().dead_letters {
        let request = v1::ReplayDeadLetterRequest { dead_letter_id: letter.dead_letter_id };
        client.dead_letters.replay_dead_letter(request).await?;
    }
    assert_eq!(client.history(&run_id).await?.len(), history.len());
    let shipped = history.iter().filter(|e| e.event_type == "StepSucceeded" && e.step_id == "ship").count();
    assert_eq!(shipped, 1);
    let left = client.dead_letters.list_dead_letters(v1::ListDeadLettersRequest::default()).await?.into_inner();
    ensure!(left.dead_letters.is_empty(), "{left:#?}");
    Ok(())
}
