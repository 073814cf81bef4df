//! Knowledge on the real node: folders and repositories go in, cited pieces come out, and no crash loses any.
//!
//! `MESH_KNOWLEDGE_KILLS` sets the number of kills (10 by default).

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Chance, Client, Node, NodeOptions};
use serde_json::Value;
use tonic::Code;

const WATCHDOG: Duration = Duration::from_secs(120);

fn options(data: &Path) -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data)
}

fn write(folder: &Path, path: &str, text: &str) -> Result<()> {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().context("no folder")?)?;
    Ok(fs::write(file, text)?)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").arg("-C").arg(folder).args(who).args(arguments).output()?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What a command of ours answers as JSON.
fn told(node: &Node, arguments: &[&str]) -> Result<Value> {
    let all: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
    let (code, out, err) = node.mesh(&all)?;
    ensure!(code == 0, "{arguments:?}: {code}: {err}");
    Ok(serde_json::from_str(&out)?)
}

/// The best match's path, lines and text.
fn best(node: &Node, query: &str) -> Result<(String, String, String)> {
    let answer = told(node, &["knowledge", "search", query])?;
    let found = answer.pointer("/matches/0").cloned().unwrap_or_default();
    let text = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((text("path"), text("revision"), text("text")))
}

#[test]
fn a_repository_is_taken_in_by_its_changes_and_found_with_its_commit_also_after_a_restart() -> Result<()> {
    let data = tempfile::tempdir()?;
    let folder = tempfile::tempdir()?;
    write(folder.path(), "guide.md", "# Guide\n\n## Install\n\nRun the harbour installer twice.\n")?;
    write(
        folder.path(),
        "src/ledger.rs",
        "/// Adds a vessel to the ledger.\npub fn add_vessel(name: &str) {\n    log(name);\n}\n",
    )?;
    write(folder.path(), "untracked.md", "# Lighthouse\n\nNobody has committed this.\n")?;
    git(folder.path(), &["init", "--quiet"])?;
    git(folder.path(), &["add", "guide.md", "src"])?;
    git(folder.path(), &["commit", "--quiet", "-m", "first"])?;
    let head = git(folder.path(), &["rev-parse", "HEAD"])?;
    let path = folder.path().to_str().context("no path")?;
    let mut node = Node::start(&options(data.path()))?;

    let first = told(&node, &["knowledge", "ingest", path, "--source", "port"])?;
    assert_eq!((&first["taken"], &first["unchanged"], &first["pending"]), (&2.into(), &0.into(), &0.into()), "{first}");
    let (found, revision, text) = best(&node, "how do I install it")?;
    assert_eq!(found, "guide.md");
    assert!(text.contains("installer twice"), "{text}");
    assert!(head.starts_with(&revision) && revision.len() == 12, "{revision} of {head}");
    assert_eq!(best(&node, "add_vessel")?.0, "src/ledger.rs");

    let again = told(&node, &["knowledge", "ingest", path, "--source", "port"])?;
    assert_eq!((&again["taken"], &again["unchanged"]), (&0.into(), &2.into()), "{again}");

    node.terminate()?;
    let node = Node::start(&options(data.path()))?;
    assert_eq!(best(&node, "how do I install it")?.0, "guide.md");

    write(folder.path(), "guide.md", "# Guide\n\n## Install\n\nPull the anchor once.\n")?;
    fs::remove_file(folder.path().join("src/ledger.rs"))?;
    let changed = told(&node, &["knowledge", "ingest", path, "--source", "port"])?;
    assert_eq!((&changed["taken"], &changed["removed"]), (&1.into(), &1.into()), "{changed}");
    let (found, revision, text) = best(&node, "how do I install it")?;
    assert_eq!((found.as_str(), revision.as_str()), ("guide.md", ""), "what is not committed is of no commit");
    assert!(text.contains("anchor"), "{text}");
    let gone = told(&node, &["knowledge", "search", "add_vessel ledger"])?;
    assert!(!gone.to_string().contains("ledger.rs"), "{gone}");

    told(&node, &["knowledge", "forget", "port"])?;
    let (code, _, _) = node.mesh(&["knowledge", "sources"])?;
    assert_eq!(code, 0);
    let gone = told(&node, &["knowledge", "search", "anchor"])?;
    assert_eq!(gone.get("matches").and_then(Value::as_array).map_or(0, Vec::len), 0, "{gone}");
    Ok(())
}

#[test]
fn a_folder_tells_what_it_left_out_and_why() -> Result<()> {
    let data = tempfile::tempdir()?;
    let folder = tempfile::tempdir()?;
    write(folder.path(), "a.md", "# A\n\nA text about anchors.\n")?;
    write(folder.path(), "server.pem", "not really a key\n")?;
    fs::write(folder.path().join("logo.png"), [0x89, b'P', 0, 1])?;
    fs::write(folder.path().join("large.txt"), vec![b'x'; 5 << 20])?;
    let node = Node::start(&options(data.path()))?;
    let path = folder.path().to_str().context("no path")?;
    let done = told(&node, &["knowledge", "ingest", path, "--collection", "notes"])?;
    let left = done.to_string();
    for (name, why) in [("server.pem", "secret"), ("logo.png", "binary"), ("large.txt", "too large")] {
        assert!(left.contains(name) && left.contains(why), "{name}: {left}");
    }
    let (code, _, err) = node.mesh(&["knowledge", "ingest", "/no/such/folder"])?;
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = node.mesh(&["knowledge", "search", "anchors", "--collection", "none"])?;
    assert!(code == 4 && err.contains("no collection `none`"), "{code}: {err}");
    Ok(())
}

fn request(path: &str, text: &str) -> v1::IngestDocumentsRequest {
    v1::IngestDocumentsRequest {
        collection: "docs".to_owned(),
        source: Some(v1::KnowledgeSource { name: "notes".to_owned(), ..Default::default() }),
        documents: vec![v1::NewDocument { path: path.to_owned(), body: text.to_owned().into(), ..Default::default() }],
        ..Default::default()
    }
}

async fn search(client: &mut Client, query: &str) -> Result<Vec<v1::Match>> {
    let began = Instant::now();
    loop {
        let request = v1::SearchKnowledgeRequest {
            query: query.to_owned(),
            collections: vec!["docs".to_owned()],
            ..Default::default()
        };
        match client.knowledge.search_knowledge(request).await {
            Ok(answer) => return Ok(answer.into_inner().matches),
            // A lost index is made again.
            Err(status) if status.code() == Code::Unavailable && began.elapsed() < WATCHDOG => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_document_that_was_acknowledged_is_lost_whenever_the_node_dies() -> Result<()> {
    let kills: usize = std::env::var("MESH_KNOWLEDGE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let data = tempfile::tempdir()?;
    let mut chance = Chance::new(11);
    let mut acknowledged = Vec::new();
    for life in 0..kills {
        let mut node = Node::start(&options(data.path()))?;
        let mut client = node.client().await?;
        // Some documents, and death in the middle of what becomes of them.
        let count = 1 + chance.below(6);
        for n in 0..count {
            let word = format!("vessel{life}x{n}");
            let text = format!("# Berth\n\nThe {word} lies at the quay.\n\n{}\n", "Waves roll. ".repeat(60));
            client.knowledge.ingest_documents(request(&format!("{word}.md"), &text)).await?;
            acknowledged.push(word);
        }
        tokio::time::sleep(Duration::from_millis(chance.below(120))).await;
        node.kill()?;
    }
    let node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    let figures = client.indexed("docs").await?;
    assert_eq!(figures.problem, "");
    let documents: u32 = figures.sources.iter().map(|source| source.documents).sum();
    assert_eq!(usize::try_from(documents)?, acknowledged.len());
    for word in &acknowledged {
        let found = search(&mut client, word).await?;
        let best = found.first().with_context(|| format!("{word} is not found"))?;
        assert_eq!(best.path, format!("{word}.md"));
        let same = found.iter().filter(|other| other.chunk_id == best.chunk_id).count();
        assert_eq!(same, 1, "{word} is indexed twice");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_lost_is_made_again() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    client.knowledge.ingest_documents(request("a.md", "# Quay\n\nThe crane lifts containers.\n")).await?;
    client.indexed("docs").await?;
    node.terminate()?;
    fs::remove_dir_all(data.path().join("knowledge"))?;
    let node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    let first = v1::SearchKnowledgeRequest {
        query: "crane".to_owned(),
        collections: vec!["docs".to_owned()],
        ..Default::default()
    };
    let told = client.knowledge.search_knowledge(first).await.err().context("it was not missed")?;
    assert_eq!(told.code(), Code::Unavailable, "{told}");
    assert!(told.message().contains("made again"), "{told}");
    client.indexed("docs").await?;
    let found = search(&mut client, "what lifts containers").await?;
    assert_eq!(found.first().context("nothing")?.path, "a.md");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_is_cited_within_its_budget_and_holds_nothing_that_policy_denies() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    for n in 0..30 {
        let text =
            format!("# Crane {n}\n\nCrane number {n} lifts {n} containers in the harbour each day of week {n}.\n");
        client.knowledge.ingest_documents(request(&format!("crane-{n}.md"), &text)).await?;
    }
    let key = ["sk", "abcdefghijklmnop0123456789"].join("-");
    let leaked = format!("# Crane keys\n\nThe crane in the harbour opens with {key} and lifts containers.\n");
    client.knowledge.ingest_documents(request("keys.txt", &leaked.replace(&key, "a chip"))).await?;
    let mut board = request("board.md", "# Crane\n\nThe board sells every crane in the harbour.\n");
    board.source = Some(v1::KnowledgeSource {
        name: "board".to_owned(),
        classification: v1::Classification::Confidential.into(),
        ..Default::default()
    });
    client.knowledge.ingest_documents(board).await?;
    client.indexed("docs").await?;

    let build = |budget: u32, ceiling: v1::Classification| v1::BuildContextRequest {
        intent: "which crane lifts containers in the harbour".to_owned(),
        collections: vec!["docs".to_owned()],
        token_budget: budget,
        ceiling: ceiling.into(),
        ..Default::default()
    };
    let answer = client.knowledge.build_context(build(300, v1::Classification::Internal)).await?.into_inner();
    let package = answer.package.context("no package")?;
    assert!(package.tokens_used <= 300 && !package.sources.is_empty(), "{package:#?}");
    assert!(!package.text.contains("sells"), "{}", package.text);
    assert!(package.left_out.iter().any(|left| left.reason == "policy" && left.path.is_empty()), "{package:#?}");
    assert!(package.left_out.iter().any(|left| left.reason == "budget"), "{package:#?}");
    for source in &package.sources {
        assert!(package.text.contains(&format!("[{}] {}", source.handle, source.citation)), "{}", package.text);
        assert!(source.citation.starts_with("docs/notes#crane-") || source.citation.contains("keys.txt"));
    }
    let read = v1::GetContextRequest { context_id: package.id.clone() };
    assert_eq!(client.knowledge.get_context(read).await?.into_inner().package.as_ref(), Some(&package));

    // Who may see more may have it in a package, and who may see less may not read that.
    let whole = client.knowledge.build_context(build(10_000, v1::Classification::Confidential)).await?.into_inner();
    let whole = whole.package.context("no package")?;
    assert!(whole.text.contains("sells"), "{}", whole.text);
    let viewer = client.issue("eyes", &["viewer"]).await?;
    let mut viewer = Client::connect(&node.grpc, &viewer).await?;
    let read = v1::GetContextRequest { context_id: whole.id };
    let refused = viewer.knowledge.get_context(read).await.err().context("a viewer read it")?;
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let seen = search(&mut viewer, "who sells cranes").await?;
    assert!(seen.iter().all(|found| found.path != "board.md"), "{seen:#?}");
    Ok(())
}

const GROUNDED: &str = r"
name: grounded
steps:
  - id: look
    skill: knowledge.context
    with: { intent: 'which crane lifts containers', tokenBudget: 500 }
  - id: anywhere
    skill: knowledge.outside
    with: { intent: 'which crane lifts containers', collections: [docs] }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_given_a_package_and_its_lineage_leads_to_the_chunk() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    client.knowledge.ingest_documents(request("crane.md", "# Crane\n\nThe yellow crane lifts containers.\n")).await?;
    let mut letter = request("letter.md", "# Letter\n\nThis crane lifts containers for free, says a stranger.\n");
    letter.source = Some(v1::KnowledgeSource { name: "mail".to_owned(), outside: true, ..Default::default() });
    client.knowledge.ingest_documents(letter).await?;
    client.indexed("docs").await?;
    client.publish(GROUNDED).await?;
    let run_id = client.submit("grounded", "one", &serde_json::json!({})).await?;
    let run = client.wait_for_end(&run_id, Duration::from_secs(30)).await?;
    ensure!(run.state() == v1::RunState::Succeeded, "{run:#?}");
    let given = |id: &str| {
        let step = run.steps.iter().find(|step| step.step_id == id);
        format!("{:?}", step.map(|step| &step.output))
    };
    assert!(given("look").contains("yellow crane") && !given("look").contains("stranger"), "{}", given("look"));
    assert!(given("anywhere").contains("stranger"), "{}", given("anywhere"));

    let (code, out, err) = node.mesh(&["lineage", "why", &format!("result/step/{run_id}/look"), "--all"])?;
    assert_eq!(code, 0, "{err}");
    for part in ["package/ctx-", "chunk/chk-", "document/docs/notes#crane.md"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    Ok(())
}
