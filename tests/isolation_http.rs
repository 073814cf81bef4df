//! The pages: every route of the router with tenant B's key and tenant A's ids. A route without a case
//! fails, and none answers without a key but those that say that they are open.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use mesh::http::Who;
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, get, post};

/// A word that only tenant A has.
const SECRET: &str = "xyzzy-of-a";

/// How long a stream is listened to.
const LISTEN: Duration = Duration::from_millis(500);

const DEFINITION: &str = "
name: secret
title: xyzzy-of-a
steps:
  - id: ask
    approval: { title: xyzzy-of-a }
";

async fn new_tenant(operator: &mut Client, name: &str) -> Result<String> {
    let request = v1::CreateTenantRequest { tenant_id: name.into(), title: name.into(), ..Default::default() };
    operator.tenants.create_tenant(request).await?;
    let request = v1::CreateApiKeyRequest {
        tenant_id: name.into(),
        name: "admin".into(),
        roles: ["admin", "developer"].map(str::to_owned).to_vec(),
        ..Default::default()
    };
    Ok(operator.tenants.create_api_key(request).await?.into_inner().secret)
}

/// A key is taken as soon as the node's own list has seen it.
async fn until_taken(node: &Node, key: &str) -> Result<()> {
    for _ in 0..500 {
        if get(&format!("{}/", node.http), Some(key), LISTEN).await?.0 == 200 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the key was never taken")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_shows_one_tenant_to_another_or_to_nobody() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    let mut operator = node.client().await?;
    let a_key = new_tenant(&mut operator, "tenant-a").await?;
    let b_key = new_tenant(&mut operator, "tenant-b").await?;
    until_taken(&node, &a_key).await?;
    until_taken(&node, &b_key).await?;
    let mut a = Client::connect(&node.grpc, &a_key).await?;
    a.publish(DEFINITION).await?;
    let run = a.submit("secret", "one", &serde_json::json!({})).await?;

    for route in mesh::http::ROUTES {
        let path = route.path.replace("{run}", &run).replace("{step}", "ask");
        ensure!(!path.contains('{'), "`{}` has no case here", route.path);
        let url = format!("{}{path}", node.http);
        if path == "/backup" {
            only_operators_take_backups(&node, &url, [&a_key, &b_key]).await?;
            continue;
        }
        let (status, _) = get(&url, None, LISTEN).await?;
        if route.who == Who::Anybody {
            ensure!(status != 404, "`{path}` is not there");
            continue;
        }
        ensure!(status == 401, "`{path}` answered {status} without a key");
        if route.who == Who::Operators {
            for key in [&a_key, &b_key] {
                let (status, body) = get(&url, Some(key), LISTEN).await?;
                ensure!(status == 403 && !body.contains("tenant-"), "`{path}` answered {status} to a tenant: {body}");
            }
            let (status, _) = get(&url, Some(&node.key()?), LISTEN).await?;
            ensure!(status == 200, "`{path}` answered {status} to the operator");
            continue;
        }
        let (status, body) = get(&url, Some(&a_key), LISTEN).await?;
        ensure!(status == 200, "`{path}` answered {status} to its own tenant: {body}");
        let (status, body) = get(&url, Some(&b_key), LISTEN).await?;
        ensure!(!body.contains(SECRET) && !body.contains("tenant-a"), "`{path}` shows tenant A to tenant B");
        if path.contains(&run) {
            ensure!(status == 404, "`{path}` answered {status} to tenant B");
        } else {
            ensure!(!body.contains(&run), "`{path}` shows tenant A's run to tenant B");
        }
    }
    Ok(())
}

/// It copies every tenant's data.
async fn only_operators_take_backups(node: &Node, url: &str, tenants: [&String; 2]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let to = folder.path().join("copy");
    let body = serde_json::json!({ "to": to }).to_string();
    ensure!(post(url, None, &body, LISTEN).await?.0 == 401);
    for key in tenants {
        let (status, told) = post(url, Some(key), &body, LISTEN).await?;
        ensure!(status == 403 && !to.exists(), "a tenant's key was answered {status}: {told}");
    }
    let relative = r#"{"to":"somewhere"}"#;
    ensure!(post(url, Some(&node.key()?), relative, LISTEN).await?.0 == 409);
    ensure!(post(url, Some(&node.key()?), "", LISTEN).await?.0 == 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_not_reached_through_a_foreign_name() -> Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    let address = node.http.strip_prefix("http://").context("http://")?;
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_works_once() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    let page = node.page.clone();
    let (first, answer) = get(&page, None, LISTEN).await?;
    ensure!(first == 303 && answer.to_lowercase().contains("set-cookie: mesh_session="), "{answer}");
    let (second, _) = get(&page, None, LISTEN).await?;
    ensure!(second == 401, "the same log-in worked twice: {second}");
    Ok(())
}
