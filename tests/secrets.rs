//! No secret is written where it does not belong: a node goes through a whole tour at the wordiest level,
//! and then everything that it wrote is searched.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, get};

const WITHIN: Duration = Duration::from_secs(10);

const DEFINITION: &str = "
name: tour
steps:
  - { id: say, skill: text.echo, with: { text: hello } }
  - { id: fall, skill: flow.fail, needs: [say], with: { message: it fell } }
";

/// Header of a collector that is not there: traces are tried, and the header must not be told.
const COLLECTOR_KEY: &str = "collector-k3y-of-nobody";

/// Every file below a folder.
fn files(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, into)? } else { into.push(path) }
    }
    Ok(())
}

fn holds(file: &Path, word: &str) -> Result<bool> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(bytes.windows(word.len()).any(|window| window == word.as_bytes()))
}

/// What stands between two marks.
fn between<'t>(text: &'t str, from: &str, to: &[char]) -> Result<&'t str> {
    let rest = text.split_once(from).with_context(|| format!("no `{from}` in {text}"))?.1;
    Ok(rest.split(to).next().unwrap_or(rest))
}

/// Uses every way in; answers all secrets that were seen.
async fn tour(node: &Node) -> Result<Vec<(&'static str, String)>> {
    let operator = node.key()?;
    let mut client = node.client().await?;
    client.tenants.create_tenant(v1::CreateTenantRequest { tenant_id: "acme".into(), ..Default::default() }).await?;
    let request = v1::CreateApiKeyRequest {
        tenant_id: "acme".into(),
        name: "ci".into(),
        roles: vec!["developer".into(), "admin".into()],
        ..Default::default()
    };
    let created = client.tenants.create_api_key(request).await?.into_inner().secret;
    let mut acme = Client::connect(&node.grpc, &created).await?;
    for _ in 0..500 {
        if acme.publish(DEFINITION).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let run = acme.submit("tour", "one", &serde_json::json!({})).await?;
    acme.wait_for_end(&run, Duration::from_secs(60)).await?;

    let wrong = "mesh_a-key-that-nobody-has";
    let mut stranger = Client::connect(&node.grpc, wrong).await?;
    ensure!(stranger.run(&run).await.is_err());
    let (status, _) = get(&format!("{}/", node.http), Some(wrong), WITHIN).await?;
    ensure!(status == 401);

    let printed = between(&node.page, "token=", &['&'])?.to_owned();
    let (status, answer) = get(&node.page, None, WITHIN).await?;
    ensure!(status == 303, "{answer}");
    let session = between(&answer, "mesh_session=", &[';', '\r'])?.to_owned();
    let (_, answer) = get(&format!("{}/logins", node.http), Some(&created), WITHIN).await?;
    let login = between(&answer, "\"token\":\"", &['"'])?.to_owned();
    for page in ["/", "/metrics", "/doctor", "/tree", "/nowhere"] {
        get(&format!("{}{page}", node.http), Some(&operator), WITHIN).await?;
    }
    for command in [vec!["doctor"], vec!["tree"], vec!["keys", "list"], vec!["runs", "list"], vec!["open"]] {
        let (code, _, error) = node.mesh(&command)?;
        ensure!(code == 0, "{command:?}: {error}");
        ensure!(!error.contains(&operator));
    }
    Ok(vec![
        ("the first key", operator),
        ("a created key", created),
        ("a wrong key", wrong.to_owned()),
        ("the printed log-in", printed),
        ("a session", session),
        ("a log-in that was asked for", login),
        ("the collector's key", COLLECTOR_KEY.to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_log_or_in_the_data_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let log = folder.path().join("node.stderr");
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), &data);
    options.stderr = Some(log.clone());
    options.settings = [
        ("MESH_LOG_FILTER", "trace"),
        ("MESH_TELEMETRY_PATH_SAMPLE_ONE_IN", "1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_HEADERS", &format!("x-key={COLLECTOR_KEY}")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let mut node = Node::start(&options)?;
    let secrets = tour(&node).await?;
    node.terminate()?;
    drop(node);

    let mut written = vec![log.clone()];
    files(&data, &mut written)?;
    // The search finds what is there: the log names the tenant, and the key lies in its own file.
    let own = data.join("operator.key");
    ensure!(holds(&log, "acme")? && holds(&own, &secrets[0].1)?);
    ensure!(written.len() > 5, "{written:?}");
    for file in &written {
        for (what, secret) in &secrets {
            let told = *file != own && holds(file, secret)?;
            ensure!(!told, "{what} stands in {}: {}", file.display(), line_of(file, secret)?);
        }
    }
    Ok(())
}

/// The line that tells a secret, for whoever mends it.
fn line_of(file: &Path, secret: &str) -> Result<String> {
    let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
    let line = text.lines().find(|line| line.contains(secret)).unwrap_or_default();
    Ok(line.replace(secret, "…").chars().take(400).collect())
}
