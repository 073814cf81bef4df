//! Restate's side: its server as npm brings it, with its defaults, and a service in its Rust SDK whose
//! handler runs ten durable steps. Driven over its HTTP ingress, counted over its admin interface.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::{
    measure::{Slot, closed_loop},
    ours::TEXT,
    process::free_port,
    side::Side,
};

type Http = Client<HttpConnector, Full<Bytes>>;

/// The server, the service, and a client of both.
pub(crate) struct Restate {
    server: Child,
    steps: Child,
    http: Http,
    version: String,
    ingress: Uri,
    admin: String,
}

impl Restate {
    /// Starts the server and the service, and registers the one with the other.
    ///
    /// # Errors
    /// When one of them does not come up within half a minute.
    pub(crate) async fn start(server: &Path, steps: &Path, work: &Path) -> Result<Self> {
        let (ingress, admin, fabric, port) = (free_port()?, free_port()?, free_port()?, free_port()?);
        let log = |name: &str| File::create(work.join(name)).map(Stdio::from);
        let version = Command::new(server).arg("--version").output().context("restate-server cannot be started")?;
        let server = Command::new(server)
            .arg("--base-dir")
            .arg(work.join("restate"))
            .args(["--node-name", "bench"])
            .env("RESTATE_LISTEN_MODE", "tcp")
            .env("RESTATE_BIND_ADDRESS", format!("127.0.0.1:{fabric}"))
            .env("RESTATE_ADVERTISED_ADDRESS", format!("http://127.0.0.1:{fabric}"))
            .env("RESTATE_INGRESS__BIND_ADDRESS", format!("127.0.0.1:{ingress}"))
            .env("RESTATE_ADMIN__BIND_ADDRESS", format!("127.0.0.1:{admin}"))
            .env("RESTATE_DISABLE_TELEMETRY", "true")
            .stdout(log("restate.log")?)
            .stderr(log("restate.err")?)
            .spawn()
            .context("restate-server cannot be started")?;
        let steps = Command::new(steps)
            .arg(format!("127.0.0.1:{port}"))
            .stdout(log("restate-steps.log")?)
            .stderr(log("restate-steps.err")?)
            .spawn()
            .context("the service of Restate's side cannot be started")?;
        let side = Self {
            server,
            steps,
            http: Client::builder(TokioExecutor::new()).build_http(),
            version: String::from_utf8_lossy(&version.stdout).trim().to_owned(),
            ingress: format!("http://127.0.0.1:{ingress}/Bench/run").parse()?,
            admin: format!("http://127.0.0.1:{admin}"),
        };
        side.come_up(port).await?;
        Ok(side)
    }

    async fn come_up(&self, port: u16) -> Result<()> {
        let began = Instant::now();
        let (register, body) =
            (format!("{}/deployments", self.admin), json!({"uri": format!("http://127.0.0.1:{port}")}));
        loop {
            let answered = send(&self.http, register.parse()?, &body).await;
            match answered {
                Ok((status, _)) if status.is_success() => break,
                _ if began.elapsed() < Duration::from_secs(30) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                other => bail!("Restate did not come up: {other:?}"),
            }
        }
        // Registered is not yet served: the first call may come before the ingress knows the service.
        while let Err(error) = call(&self.http, &self.ingress).await {
            ensure!(began.elapsed() < Duration::from_secs(30), "Restate's service is not served: {error:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn count(&self) -> Result<u64> {
        let query = "SELECT COUNT(1) AS n FROM sys_invocation \
                     WHERE status = 'completed' AND completion_result = 'success'";
        let (status, body) =
            send(&self.http, format!("{}/query", self.admin).parse()?, &json!({"query": query})).await?;
        ensure!(status.is_success(), "Restate's query was answered with {status}: {}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body)?;
        answer.pointer("/rows/0/n").and_then(Value::as_u64).with_context(|| format!("no count in {answer}"))
    }
}

impl Side for Restate {
    fn name(&self) -> &'static str {
        "restate"
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn servers(&self) -> Vec<u32> {
        vec![self.server.id()]
    }

    fn helpers(&self) -> Vec<u32> {
        vec![self.steps.id()]
    }

    fn measure(&mut self, in_flight: usize, length: Duration) -> LocalBoxFuture<'_, Result<Slot>> {
        Box::pin(closed_loop(in_flight, length, || call(&self.http, &self.ingress)))
    }

    fn finished(&mut self) -> LocalBoxFuture<'_, Result<u64>> {
        Box::pin(self.count())
    }
}

impl Drop for Restate {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.steps] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn call(http: &Http, ingress: &Uri) -> Result<()> {
    let (status, body) = send(http, ingress.clone(), &json!(TEXT)).await?;
    ensure!(status == StatusCode::OK, "Restate answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

async fn send(http: &Http, uri: Uri, body: &Value) -> Result<(StatusCode, Bytes)> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(body)?)))?;
    let answer = http.request(request).await?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}
