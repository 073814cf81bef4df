//! Workers: skills in a process of one's own, through the Rust worker crate and against the real node.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, get, json, object};
use mesh_worker::{Ceiling, Error, Failure, Skill, Worker};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Code;

const WATCHDOG: Duration = Duration::from_secs(60);

fn start() -> Result<(tempfile::TempDir, NodeOptions, Node)> {
    let data = tempfile::tempdir()?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    let node = Node::start(&options)?;
    Ok((data, options, node))
}

/// A worker that does its work until it is told to stop.
struct Working {
    stop: CancellationToken,
    ended: JoinHandle<Result<(), Error>>,
}

impl Working {
    fn begin(worker: Worker) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let ended = mesh_kernel::task::spawn("worker", worker.run(async move { stopped.cancelled().await }));
        Self { stop, ended }
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(tokio::time::timeout(WATCHDOG, self.ended).await.context("it does not end")???)
    }
}

fn shout() -> Skill {
    let text = json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } } });
    Skill::pure("acme.shout", "1.0.0", "Says it in capitals.").takes(text.clone()).gives(text).example(
        "a greeting",
        json!({ "text": "hello" }),
        json!({ "text": "HELLO" }),
    )
}

fn worker(node: &Node) -> Result<Worker> {
    Ok(Worker::new(&node.grpc, &node.key()?))
}

async fn invoke(client: &mut Client, skill: &str, input: &Value) -> Result<String> {
    let request = v1::InvokeSkillRequest { name: skill.to_owned(), input: Some(object(input)), ..Default::default() };
    Ok(client.skills.invoke_skill(request).await?.into_inner().run.context("no run")?.run_id)
}

async fn outcome(client: &mut Client, run: &str) -> Result<Value> {
    let run = client.wait_for_end(run, WATCHDOG).await?;
    if let Some(failure) = run.failure {
        return Ok(json!([failure.failure_class, failure.code, failure.message]));
    }
    Ok(json(run.outputs.as_ref().and_then(|outputs| outputs.fields.get("output"))))
}

/// Waits until a skill is registered and so many workers have it.
async fn had_by(client: &mut Client, skill: &str, workers: u32) -> Result<v1::Skill> {
    for _ in 0..1_000 {
        let found = client.skills.get_skill(v1::GetSkillRequest { name: skill.to_owned() }).await;
        if let Some(found) = found.ok().and_then(|answer| answer.into_inner().skill)
            && found.workers == workers
        {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("`{skill}` is not had by {workers} workers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_calls_a_skill_that_a_worker_has() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    let definition = "name: loud\nsteps: [{ id: a, skill: acme.shout, with: { text: hello } }]\n\
                      outputs: { text: '${ steps.a.output.text }' }\n";
    let early = client.publish(definition).await.err().context("it was published before it was registered")?;
    ensure!(format!("{early:#}").contains("acme.shout"), "{early:#}");

    let working = Working::begin(worker(&node)?.skill(shout(), |call| async move {
        call.progress(format!("attempt {} of {}", call.attempt, call.step));
        Ok(json!({ "text": call.input["text"].as_str().unwrap_or_default().to_uppercase() }))
    }));
    let skill = had_by(&mut client, "acme.shout", 1).await?;
    assert_eq!((skill.host.as_str(), skill.category.as_str(), skill.version.as_str()), ("worker", "acme", "1.0.0"));
    client.publish(definition).await?;
    let wrong = definition.replace("text: hello", "txt: hello");
    ensure!(client.publish(&wrong).await.is_err(), "its schema was not asked");
    let (code, out, error) = node.mesh(&["tree"])?;
    ensure!(code == 0 && out.contains("acme.shout@1.0.0  0 of "), "{out}{error}");
    let run = client.submit("loud", "one", &json!({})).await?;
    let ended = client.wait_for_end(&run, WATCHDOG).await?;
    assert_eq!(json(ended.outputs.as_ref().and_then(|it| it.fields.get("text"))), json!("HELLO"), "{ended:?}");
    let logs = v1::GetRunLogsRequest { run_id: run, ..Default::default() };
    let logs = client.workflows.get_run_logs(logs).await?.into_inner();
    ensure!(format!("{logs:?}").contains("attempt 1 of a"), "{logs:?}");

    let (code, out, error) = node.mesh(&["skills", "test", "acme.shout"])?;
    ensure!(code == 0 && out.contains("passed"), "{code}: {out}{error}");
    working.stop().await?;
    had_by(&mut client, "acme.shout", 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_does_wrong_is_told_and_takes_nothing_with_it() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    let text = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let skill = |name: &str| Skill::pure(name, "1.0.0", "goes wrong").gives(text.clone());
    let working = Working::begin(
        worker(&node)?
            .skill(skill("bad.panics"), |_| async { panic!("no more") })
            .skill(skill("bad.lies"), |_| async { Ok(json!({ "text": 5 })) })
            .skill(skill("bad.fails"), |_| async {
                Err(Failure::validation("bad.word", "not this").with(&json!({ "n": 1 })))
            })
            .skill(skill("bad.hangs").within(Duration::from_millis(300)), |call| async move {
                call.cancelled.cancelled().await;
                std::future::pending().await
            })
            .skill(shout(), |_| async { Ok(json!({ "text": "HI" })) }),
    );
    had_by(&mut client, "bad.panics", 1).await?;
    for (name, class, word) in [
        ("bad.panics", "internal", "no more"),
        ("bad.lies", "internal", "does not fit its schema"),
        ("bad.fails", "validation", "not this"),
    ] {
        let request = v1::InvokeSkillRequest {
            name: name.to_owned(),
            retry: Some(v1::Retry { max_attempts: 1, ..Default::default() }),
            ..Default::default()
        };
        let run = client.skills.invoke_skill(request).await?.into_inner().run.context("no run")?.run_id;
        let told = outcome(&mut client, &run).await?;
        ensure!(told[0] == class && told[2].as_str().is_some_and(|text| text.contains(word)), "{name}: {told}");
    }
    let hanging = v1::InvokeSkillRequest {
        name: "bad.hangs".to_owned(),
        retry: Some(v1::Retry { max_attempts: 1, ..Default::default() }),
        ..Default::default()
    };
    let hanging = client.skills.invoke_skill(hanging).await?.into_inner().run.context("no run")?.run_id;
    let run = invoke(&mut client, "acme.shout", &json!({ "text": "hi" })).await?;
    assert_eq!(outcome(&mut client, &run).await?, json!({ "text": "HI" }), "others waited for the one that hangs");
    let told = outcome(&mut client, &hanging).await?;
    assert_eq!(told[0], "timeout", "{told}");
    drop(working);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_skill_says_of_its_reach_is_kept_and_its_calls_take_turns() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let order = Skill::idempotent("shop.order", "1.0.0", "Orders what is missing.")
        .category("purchasing")
        .needs(&["network", "files"])
        .reaches(&["api.example.com"])
        .writes("orders/**")
        .ceiling(Ceiling::Confidential)
        .accepts_tainted()
        .fails_with("shop.no-stock", "external", "The shop has none now.")
        .memory_max(64 << 20)
        .at_most(1);
    let (counted, highest) = (now.clone(), most.clone());
    let working = Working::begin(worker(&node)?.skill(order, move |_| {
        let (counted, highest) = (counted.clone(), highest.clone());
        async move {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            counted.fetch_sub(1, Ordering::SeqCst);
            Ok(Value::Null)
        }
    }));
    let kept = had_by(&mut client, "shop.order", 1).await?;
    assert_eq!((kept.category.as_str(), kept.hosts.as_slice()), ("purchasing", &["api.example.com".to_owned()][..]));
    assert_eq!((kept.ceiling(), kept.accepts()), (v1::Classification::Confidential, v1::SkillAccepts::Tainted));
    assert_eq!(kept.failure_classes, ["external"], "the class of a code counts as declared");
    let (code, out, error) = node.mesh(&["skills", "describe", "shop.order"])?;
    for word in
        ["purchasing", "api.example.com (declared)", "writes       orders/**", "shop.no-stock", "at once      1"]
    {
        ensure!(code == 0 && out.contains(word), "`{word}` is missing in: {out}{error}");
    }
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(invoke(&mut client, "shop.order", &json!({})).await?);
    }
    for run in runs {
        assert_eq!(outcome(&mut client, &run).await?, Value::Null);
    }
    assert_eq!(most.load(Ordering::SeqCst), 1, "more than one at once");
    working.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_asks_again_under_the_same_key_and_a_version_never_changes() -> Result<()> {
    let (_data, options, mut node) = start()?;
    let mut client = node.client().await?;
    let (seen, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let keys = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (counted, held, kept) = (seen.clone(), gate.clone(), keys.clone());
    let grpc: std::net::SocketAddr = node.grpc.trim_start_matches("http://").parse()?;
    let working = Working::begin(worker(&node)?.skill(shout(), move |call| {
        let (counted, held, kept) = (counted.clone(), held.clone(), kept.clone());
        async move {
            kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(call.key.clone());
            counted.fetch_add(1, Ordering::SeqCst);
            let _open = held.acquire().await;
            Ok(json!({ "text": "DONE" }))
        }
    }));
    had_by(&mut client, "acme.shout", 1).await?;
    let run = invoke(&mut client, "acme.shout", &json!({ "text": "x" })).await?;
    while seen.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.kill()?;
    let options = NodeOptions { listen: grpc, ..options };
    let node = Node::start(&options)?;
    let mut client = node.client().await?;
    gate.add_permits(100);
    assert_eq!(outcome(&mut client, &run).await?, json!({ "text": "DONE" }));
    let keys = keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    ensure!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    working.stop().await?;

    let (code, _, error) = node.mesh(&["skills", "deprecate", "acme.shout@2.0.0", "--reason", "old"])?;
    ensure!(code == 4 && error.contains("never registered"), "{code}: {error}");
    let (code, out, error) = node.mesh(&["skills", "deprecate", "acme.shout@1.0.0", "--reason", "old"])?;
    ensure!(code == 0 && out.contains("new calls use acme.shout@1.0.0"), "{code}: {out}{error}");

    let changed = Skill::at_least_once("acme.shout", "1.0.0", "Says something else.");
    let refused = worker(&node)?.skill(changed, |_| async { Ok(Value::Null) }).run(std::future::pending()).await;
    ensure!(
        matches!(&refused, Err(Error::Refused(status)) if status.code() == Code::AlreadyExists && status.message().contains("raise the version")),
        "{refused:?}"
    );
    let refused = Worker::new(&node.grpc, "wrong").skill(shout(), |_| async { Ok(Value::Null) });
    ensure!(
        matches!(refused.run(std::future::pending()).await, Err(Error::Refused(_))),
        "a wrong key was dialled with for ever"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_is_refused_with_its_reason_for_new_calls_and_for_retries() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    let seen = Arc::new(AtomicU32::new(0));
    let counted = seen.clone();
    let shouts = |counted: Arc<AtomicU32>| {
        move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Err(Failure::external("acme.down", "not now")) }
        }
    };
    let working = Working::begin(worker(&node)?.skill(shout(), shouts(counted)));
    had_by(&mut client, "acme.shout", 1).await?;
    client.publish("name: loud\nsteps: [{ id: a, skill: acme.shout, with: { text: hello } }]\n").await?;
    let retried = v1::InvokeSkillRequest {
        name: "acme.shout".to_owned(),
        input: Some(object(&json!({ "text": "x" }))),
        retry: Some(v1::Retry {
            max_attempts: 100,
            initial_backoff: Some(prost_types::Duration { seconds: 0, nanos: 50_000_000 }),
            multiplier: 1.0,
            ..Default::default()
        }),
        ..Default::default()
    };
    let run = client.skills.invoke_skill(retried.clone()).await?.into_inner().run.context("no run")?.run_id;
    while seen.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // One that waits for a worker is told at once.
    let newer = v1::Skill {
        name: "acme.shout".to_owned(),
        version: "2.0.0".to_owned(),
        effect: v1::SkillEffect::Pure.into(),
        ..Default::default()
    };
    let waits = v1::RegisterSkillsRequest { skills: vec![newer], ..Default::default() };
    client.skills.register_skills(waits).await?;
    let once =
        v1::InvokeSkillRequest { retry: Some(v1::Retry { max_attempts: 1, ..Default::default() }), ..retried.clone() };
    let waiting = client.skills.invoke_skill(once).await?.into_inner().run.context("no run")?.run_id;
    let logs = |run: &str| v1::GetRunLogsRequest { run_id: run.to_owned(), ..Default::default() };
    while !format!("{:?}", client.workflows.get_run_logs(logs(&waiting)).await?).contains("waits for a worker") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (code, out, error) = node.mesh(&["skills", "withdraw", "acme.shout@2.0.0", "--reason", "too loud"])?;
    ensure!(code == 0 && out.contains("new calls use acme.shout@1.0.0"), "{code}: {out}{error}");
    let told = outcome(&mut client, &waiting).await?;
    ensure!(told[1] == "skill.withdrawn" && told[2].as_str().is_some_and(|text| text.contains("too loud")), "{told}");

    let (code, out, error) = node.mesh(&["skills", "withdraw", "acme.shout@1.0.0", "--reason", "it says lies"])?;
    ensure!(code == 0 && out.contains("nobody calls acme.shout any more"), "{code}: {out}{error}");
    let told = outcome(&mut client, &run).await?;
    ensure!(told[0] == "validation" && told[1] == "skill.withdrawn", "{told}");
    ensure!(told[2].as_str().is_some_and(|text| text.contains("it says lies")), "{told}");
    let refused = client.skills.invoke_skill(retried).await.err().context("it was called anew")?;
    ensure!(refused.code() == Code::FailedPrecondition && refused.message().contains("it says lies"), "{refused}");
    ensure!(
        client.publish("name: late\nsteps: [{ id: a, skill: acme.shout, with: { text: b } }]\n").await.is_err(),
        "taken"
    );
    let (code, out, error) = node.mesh(&["skills", "describe", "acme.shout"])?;
    ensure!(code == 0 && out.contains("withdrawn    too loud") && out.contains("used by      loud@1"), "{out}{error}");
    working.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stops_ends_what_it_has_and_another_takes_the_rest() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    let gate = Arc::new(Semaphore::new(0));
    let says = |who: &'static str, gate: Arc<Semaphore>| {
        move |_| {
            let gate = gate.clone();
            async move {
                let _open = gate.acquire().await;
                Ok(json!({ "text": who }))
            }
        }
    };
    let one = Working::begin(worker(&node)?.named("one").concurrency(1).skill(shout(), says("one", gate.clone())));
    had_by(&mut client, "acme.shout", 1).await?;
    let first = invoke(&mut client, "acme.shout", &json!({ "text": "x" })).await?;
    let second = invoke(&mut client, "acme.shout", &json!({ "text": "x" })).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    one.stop.cancel();
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure!(!one.ended.is_finished(), "it has left its call");
    let other = Working::begin(worker(&node)?.named("other").skill(shout(), says("other", gate.clone())));
    gate.add_permits(100);
    let told = [outcome(&mut client, &first).await?, outcome(&mut client, &second).await?];
    assert_eq!(told, [json!({ "text": "one" }), json!({ "text": "other" })]);
    one.stop().await?;
    other.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skill_whose_calls_hang_is_not_called_for_a_while_and_one_with_a_rate_is_not_called_more_often() -> Result<()>
{
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    let called = Arc::new(AtomicU32::new(0));
    let counted = called.clone();
    let hangs = Skill::pure("bad.hangs", "1.0.0", "Never ends.").within(Duration::from_millis(200));
    let rated = Skill::pure("acme.rated", "1.0.0", "Takes it slowly.").at_rate(1, Duration::from_secs(3_600), 2);
    let working = Working::begin(
        worker(&node)?
            .skill(hangs, move |call| {
                counted.fetch_add(1, Ordering::SeqCst);
                async move {
                    call.cancelled.cancelled().await;
                    Err(Failure::external("x.late", "interrupted"))
                }
            })
            .skill(rated, |_| async { Ok(Value::Null) }),
    );
    had_by(&mut client, "bad.hangs", 1).await?;
    let once = async |client: &mut Client, name: &str| {
        let request = v1::InvokeSkillRequest {
            name: name.to_owned(),
            retry: Some(v1::Retry { max_attempts: 1, ..Default::default() }),
            ..Default::default()
        };
        let run = client.skills.invoke_skill(request).await?.into_inner().run.context("no run")?.run_id;
        outcome(client, &run).await
    };
    for _ in 0..5 {
        assert_eq!(once(&mut client, "bad.hangs").await?[1], "skill.timeout");
    }
    let told = once(&mut client, "bad.hangs").await?;
    ensure!(told[1] == "skill.breaker" && told[2].as_str().is_some_and(|it| it.contains("after 5 failures")), "{told}");
    assert_eq!(called.load(Ordering::SeqCst), 5, "a skill whose breaker is open was called");
    let (code, out, error) = node.mesh(&["skills", "describe", "bad.hangs"])?;
    ensure!(code == 0 && out.contains("breaker      open of skill bad.hangs@1.0.0 since 20"), "{out}{error}");
    let (code, out, error) = node.mesh(&["skills", "describe", "acme.rated"])?;
    let says = ["breaker      closed of skill acme.rated@1.0.0", "rate         1 in 1h, 2 at once"];
    ensure!(code == 0 && says.iter().all(|line| out.contains(line)), "{out}{error}");

    for _ in 0..2 {
        assert_eq!(once(&mut client, "acme.rated").await?, Value::Null);
    }
    let told = once(&mut client, "acme.rated").await?;
    assert_eq!((told[0].as_str(), told[1].as_str()), (Some("resource"), Some("skill.rate")), "{told}");

    let (_, figures) = get(&format!("{}/metrics", node.http), Some(&node.key()?), WATCHDOG).await?;
    for line in [
        "mesh_skill_breakers_open{tenant=\"default\",before=\"skill\"} 1",
        "mesh_skill_workers{tenant=\"default\",state=\"live\"} 1",
        "mesh_skill_breakers_opened_total{tenant=\"default\"} 1",
        "mesh_skill_calls_held_total{tenant=\"default\",by=\"breaker\",outcome=\"refused\"} 1",
        "mesh_skill_calls_held_total{tenant=\"default\",by=\"rate\",outcome=\"refused\"} 1",
    ] {
        ensure!(figures.contains(line), "`{line}` is missing in {figures}");
    }
    working.stop().await
}
