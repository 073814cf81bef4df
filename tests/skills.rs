//! Skills as a platform engineer meets them: listed, described, called by themselves, tested.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, json, object};
use serde_json::{Value, json};
use tonic::Code;

const WATCHDOG: Duration = Duration::from_secs(60);

fn start() -> Result<(tempfile::TempDir, Node)> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    Ok((data, node))
}

fn echo(request_id: &str, input: &Value) -> v1::InvokeSkillRequest {
    v1::InvokeSkillRequest {
        name: "text.echo".to_owned(),
        input: Some(object(input)),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

/// The run that calls a skill, when it has ended.
async fn called(client: &mut Client, request: v1::InvokeSkillRequest) -> Result<v1::Run> {
    let run = client.skills.invoke_skill(request).await?.into_inner().run.context("no run")?;
    client.wait_for_end(&run.run_id, WATCHDOG).await
}

fn output(run: &v1::Run) -> Value {
    json(run.outputs.as_ref().and_then(|outputs| outputs.fields.get("output")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skill_is_called_by_itself_as_a_run_like_any_other() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    let run = called(&mut client, echo("once", &json!({ "text": "hi ${ run.id }" }))).await?;
    assert_eq!((run.state(), output(&run)), (v1::RunState::Succeeded, json!({ "text": "hi ${ run.id }" })));
    assert_eq!((run.definition.as_str(), run.definition_version), ("invoke.text.echo", 0));
    let listed = client.workflows.list_runs(v1::ListRunsRequest::default()).await?.into_inner().runs;
    assert_eq!(listed.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), [run.run_id.as_str()]);

    let again = client.skills.invoke_skill(echo("once", &json!({ "text": "hi ${ run.id }" }))).await?.into_inner();
    assert!(again.repeated && again.run.is_some_and(|again| again.run_id == run.run_id), "called twice");
    let other = client.skills.invoke_skill(echo("once", &json!({ "text": "ho" }))).await.err().context("taken")?;
    assert_eq!(other.code(), Code::AlreadyExists, "{other}");
    // The ids of all methods that submit a run are the same.
    client.publish("name: d\nsteps: [{ id: a, skill: text.echo, with: { text: b } }]\n").await?;
    let other = client.submit("d", "once", &json!({})).await.err().context("taken")?;
    ensure!(format!("{other:#}").contains("this request id was used"), "{other:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_large_is_called_with_and_kept_like_a_runs_values() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    let text = "x".repeat(300_000);
    let run = called(&mut client, echo("large", &json!({ "text": text }))).await?;
    assert_eq!(run.state(), v1::RunState::Succeeded, "{:?}", run.failure);
    let kept = output(&run);
    let digest =
        kept.pointer("/text/$ref").and_then(Value::as_str).with_context(|| format!("not set aside: {kept}"))?;
    assert_eq!(serde_json::from_slice::<Value>(&client.content(digest).await?)?, json!(text));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_tried_as_often_as_was_asked_and_its_failure_is_the_skills_own() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    let fails = |request_id: &str, input: &Value| v1::InvokeSkillRequest {
        name: "flow.fail".to_owned(),
        retry: Some(v1::Retry {
            max_attempts: 2,
            initial_backoff: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
            ..Default::default()
        }),
        ..echo(request_id, input)
    };
    let outage = json!({ "message": "no answer", "class": "external" });
    let run = called(&mut client, fails("outage", &outage)).await?;
    let failure = run.failure.context("it did not fail")?;
    assert_eq!((failure.step_id.as_str(), failure.failure_class.as_str()), ("call", "external"));
    assert_eq!(run.steps.first().map(|step| step.attempts), Some(2));
    let over = json!({ "message": "no answer", "class": "external", "attempts": 1 });
    let run = called(&mut client, fails("over", &over)).await?;
    assert_eq!(output(&run), json!({ "attempt": 2 }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_called_is_refused_in_words_that_help_and_nothing_is_submitted() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    let text = json!({ "text": "hi" });
    let named = |name: &str| v1::InvokeSkillRequest { name: name.to_owned(), ..echo("bad", &text) };
    let forever = prost_types::Duration { seconds: -1, nanos: 0 };
    for (request, code, word) in [
        (named("text.ecko"), Code::NotFound, "did you mean `text.echo`?"),
        (named(""), Code::InvalidArgument, "the name of a skill"),
        (echo("bad", &json!({ "text": 5 })), Code::InvalidArgument, "`/text`"),
        (echo("bad", &json!({})), Code::InvalidArgument, "\"text\""),
        (echo("bad", &json!({ "text": "a", "more": 1 })), Code::InvalidArgument, "'more'"),
        (echo("b/d", &text), Code::InvalidArgument, "request_id"),
        (v1::InvokeSkillRequest { timeout: Some(forever), ..echo("bad", &text) }, Code::InvalidArgument, "timeout"),
        (v1::InvokeSkillRequest { project_id: "P".to_owned(), ..echo("bad", &text) }, Code::InvalidArgument, "project"),
    ] {
        let status = client.skills.invoke_skill(request).await.err().with_context(|| format!("{word}: taken"))?;
        assert_eq!(status.code(), code, "{status}");
        ensure!(status.message().contains(word), "`{word}` is missing in: {status}");
    }
    let validated = v1::InvokeSkillRequest { validate_only: true, ..echo("bad", &text) };
    assert!(client.skills.invoke_skill(validated).await?.into_inner().run.is_none());
    let listed = client.workflows.list_runs(v1::ListRunsRequest::default()).await?.into_inner().runs;
    assert!(listed.is_empty(), "{listed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_look_sees_every_skill_and_calls_none() -> Result<()> {
    let (_data, node) = start()?;
    let mut viewer = node.client().await?.keyed(&node.grpc, "viewer", &["viewer"]).await?;
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListSkillsRequest { page_size: 2, page_token };
        let page = viewer.skills.list_skills(request).await?.into_inner();
        ensure!((1..=2).contains(&page.skills.len()), "{} on a page", page.skills.len());
        names.extend(page.skills.into_iter().map(|skill| skill.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ensure!(names.is_sorted() && names.contains(&"text.echo".to_owned()), "{names:?}");
    for name in names {
        let skill = viewer.skills.get_skill(v1::GetSkillRequest { name }).await?.into_inner().skill.context("none")?;
        ensure!(skill.input_schema.is_some() && !skill.examples.is_empty() && !skill.category.is_empty(), "{skill:?}");
    }
    let denied = viewer.skills.invoke_skill(echo("mine", &json!({ "text": "hi" }))).await.err().context("called")?;
    assert_eq!(denied.code(), Code::PermissionDenied, "{denied}");
    Ok(())
}

#[test]
fn commands_list_describe_call_and_test_skills() -> Result<()> {
    let (_data, node) = start()?;
    let told = |arguments: &[&str], expected: i32| -> Result<(String, String)> {
        let (code, out, error) = node.mesh(&[&["skills"], arguments].concat())?;
        ensure!(code == expected, "mesh skills {arguments:?} ended with {code}: {out}{error}");
        Ok((out, error))
    };
    let (list, _) = told(&["list"], 0)?;
    ensure!(list.contains("text.echo") && list.contains("at-least-once"), "{list}");
    let (whole, _) = told(&["describe", "flow.fail"], 0)?;
    ensure!(whole.contains("flow.fail@1.0.0") && whole.contains("gives a failure of class validation"), "{whole}");
    let (gave, _) = told(&["invoke", "text.echo", "-i", "text=hello"], 0)?;
    assert_eq!(serde_json::from_str::<Value>(&gave)?, json!({ "text": "hello" }));
    let (_, failed) = told(&["invoke", "flow.fail", "-i", "message=stop here"], 1)?;
    ensure!(failed.contains("stop here") && failed.contains("mesh logs run-"), "{failed}");
    let (_, unknown) = told(&["describe", "text.ecko"], 4)?;
    ensure!(unknown.contains("text.echo"), "{unknown}");
    told(&["invoke", "text.echo", "-i", "text=hello", "--timeout", "soon"], 2)?;

    let (cases, _) = told(&["test", "--output", "json"], 0)?;
    let cases: Vec<Value> = cases.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(cases.len() > 5 && cases.iter().all(|case| case["passed"] == true), "{cases:?}");
    Ok(())
}

const ORDER: &str = "\
name: shop.order
version: 1.0.0
description: Orders what is missing.
effect: idempotent
permissions: [network]
hosts: [api.example.com]
failures:
  - { code: shop.no-stock, class: external, description: The shop has none now. }
";

const FORMS: &str = "\
---
name: pdf-forms
description: Fills in PDF forms.
license: Apache-2.0
---
# Forms

Ask which form it is.
";

#[test]
fn files_and_folders_are_registered_and_what_is_wrong_in_them_is_told_with_its_place() -> Result<()> {
    let (_data, node) = start()?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir_all(folder.path().join("pdf-forms/scripts"))?;
    std::fs::write(path("order.yaml"), ORDER)?;
    std::fs::write(path("pdf-forms/SKILL.md"), FORMS)?;
    std::fs::write(path("wrong.yaml"), ORDER.replace("hosts", "hsots"))?;
    let told = |arguments: &[&str], expected: i32| -> Result<String> {
        let (code, out, error) = node.mesh(&[&["skills"], arguments].concat())?;
        ensure!(code == expected, "mesh skills {arguments:?} ended with {code}: {out}{error}");
        Ok(out + &error)
    };
    let (order, forms, wrong) = (path("order.yaml"), path("pdf-forms"), path("wrong.yaml"));
    let refused = told(&["register", &order, &wrong, &forms], 3)?;
    ensure!(refused.contains("wrong.yaml:6:1") && refused.contains("did you mean `hosts`?"), "{refused}");
    let checked = told(&["register", &order, &forms, "--validate-only"], 0)?;
    ensure!(checked.contains("shop.order@1.0.0 would be registered"), "{checked}");
    told(&["describe", "shop.order"], 4)?;

    let registered = told(&["register", &order, &forms], 0)?;
    for word in ["shop.order@1.0.0 is registered", "instructions.pdf-forms@1.0.0 is registered", "1 beside it are not"]
    {
        ensure!(registered.contains(word), "`{word}` is missing in: {registered}");
    }
    let again = told(&["register", &order], 0)?;
    ensure!(again.contains("was registered before with this manifest"), "{again}");
    let described = told(&["describe", "shop.order"], 0)?;
    ensure!(described.contains("worker (0)") && described.contains("shop.no-stock"), "{described}");

    // Nobody has it to call: the node gives the text.
    let gave: Value = serde_json::from_str(&told(&["invoke", "instructions.pdf-forms"], 0)?)?;
    assert_eq!(gave, json!({ "text": "# Forms\n\nAsk which form it is.", "license": "Apache-2.0" }));
    let described = told(&["describe", "instructions.pdf-forms"], 0)?;
    ensure!(described.contains("Ask which form it is.") && described.contains("license"), "{described}");

    let schema: Value = serde_json::from_str(&told(&["schema"], 0)?)?;
    ensure!(schema.pointer("/else/properties/ceiling/enum").is_some(), "{schema}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_for_development_is_replaced_in_a_tenant_for_development_alone() -> Result<()> {
    let (_data, node) = start()?;
    let mut operator = node.client().await?;
    let lab = v1::CreateTenantRequest { tenant_id: "lab".to_owned(), development: true, ..Default::default() };
    let made = operator.tenants.create_tenant(lab).await?.into_inner().tenant.context("no tenant")?;
    ensure!(made.development, "{made:?}");
    let key = v1::CreateApiKeyRequest {
        tenant_id: "lab".to_owned(),
        name: "lab".to_owned(),
        roles: vec!["developer".to_owned()],
        ..Default::default()
    };
    let key = operator.tenants.create_api_key(key).await?.into_inner();
    let keys = v1::ListApiKeysRequest { tenant_id: "lab".to_owned(), min_position: key.position, ..Default::default() };
    operator.tenants.list_api_keys(keys).await?;
    let mut lab = Client::connect(&node.grpc, &key.secret).await?;
    let says = |version: &str, description: &str| v1::RegisterSkillsRequest {
        skills: vec![v1::Skill {
            name: "shop.order".to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            effect: v1::SkillEffect::Pure.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let checks = |request| v1::RegisterSkillsRequest { validate_only: true, ..request };
    for client in [&mut operator, &mut lab] {
        for version in ["1.0.0-dev", "1.0.0"] {
            let would = client.skills.register_skills(checks(says(version, "orders"))).await?.into_inner();
            assert_eq!(would.registered.len(), 1, "a check says what would be registered");
            client.skills.register_skills(says(version, "orders")).await?;
            let would = client.skills.register_skills(checks(says(version, "orders"))).await?.into_inner();
            assert_eq!((would.registered.len(), would.position), (0, 0));
        }
        for request in [says("1.0.0", "orders more"), checks(says("1.0.0", "orders more"))] {
            let refused = client.skills.register_skills(request).await.err().context("a release was replaced")?;
            assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
        }
    }
    let refused = operator.skills.register_skills(says("1.0.0-dev", "orders more")).await.err().context("replaced")?;
    ensure!(refused.message().contains("in a tenant for development"), "{refused}");
    let replaced = lab.skills.register_skills(says("1.0.0-dev", "orders more")).await?.into_inner();
    assert_eq!(replaced.registered.len(), 1);
    Ok(())
}

/// The folder that `mesh skills new` makes holds the very example and packages that other tests run.
#[test]
fn a_new_skill_begins_from_the_example_that_is_tested() -> Result<()> {
    let (_data, node) = start()?;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir()?;
    let (rust, python) = (folder.path().join("rs"), folder.path().join("py"));
    let new = |name: &str, lang: &str, folder: &std::path::Path| {
        node.mesh(&["skills", "new", name, "--lang", lang, &folder.display().to_string()])
    };
    let read = |path: std::path::PathBuf| std::fs::read_to_string(&path).with_context(|| path.display().to_string());

    let (code, out, error) = new("shop.greet", "python", &python)?;
    ensure!(
        code == 0 && out.contains("venv/bin/python worker.py") && out.contains("mesh skills invoke shop.greet"),
        "{code}: {out}{error}"
    );
    let example = read(root.join("skills/sdk/python/examples/shout.py"))?;
    assert_eq!(read(python.join("worker.py"))?, example.replace("acme.shout", "shop.greet"));
    let package = read(root.join("skills/sdk/python/mesh_worker/worker.py"))?;
    assert_eq!(read(python.join("mesh-worker/mesh_worker/worker.py"))?, package);

    let (code, out, error) = new("shop.greet", "rust", &rust)?;
    ensure!(code == 0 && out.contains("cargo run"), "{code}: {out}{error}");
    ensure!(read(rust.join("src/main.rs"))?.contains("Skill::pure(\"shop.greet\""), "its name is not in it");
    assert_eq!(read(rust.join("mesh-worker/src/worker.rs"))?, read(root.join("skills/sdk/rust/src/worker.rs"))?);
    // Whatever the three packages take from their workspace is there.
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(&rust)
        .output()?;
    ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));

    let (code, _, error) = new("shop.greet", "rust", &rust)?;
    ensure!(code == 2 && error.contains("not empty"), "{code}: {error}");
    let (code, _, error) = new("Greet", "rust", &folder.path().join("no"))?;
    ensure!(code == 2 && error.contains("area.verb"), "{code}: {error}");
    Ok(())
}
