//! Malformed inputs against a running node, over gRPC and HTTP.
//!
//! Each input is made by its number and the seed alone, from what lies in `tests/seeds`. Each is answered
//! with a clear error, or with an answer where it is a question that came out harmless; nothing is
//! changed by any of them, nothing panics, and the node's memory stays where it was.

mod grpc;
mod message;
mod seeds;
mod text;
mod web;

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mesh_proto::v1;
use prost::Message as _;
use tonic::{Code, transport::Endpoint};

use crate::{Chance, Client, Node, NodeOptions};

/// Inputs under way at once.
const AT_ONCE: usize = 48;
/// One input in so many goes over HTTP.
const OVER_HTTP: u64 = 8;
/// What a node may grow by once it is warm. **Units**: KiB of resident memory.
const GROWTH_MAX: u64 = 64 * 1024;

/// What became of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It was harmless, and was answered.
    Answered,
    /// A gRPC code.
    Refused(Code),
    /// An HTTP status.
    RefusedByHttp(u16),
    /// No request could be made out, and the connection was closed.
    HungUp,
}

/// Which inputs are sent.
#[derive(Debug, Clone, Copy)]
pub struct Malformed {
    /// Everything follows from it.
    pub seed: u64,
    /// The first number.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Judged {
    /// How many ended in each way.
    pub ends: BTreeMap<String, u64>,
    /// Resident memory when a tenth was through, and after each further tenth. **Units**: KiB.
    pub resident: Vec<u64>,
}

impl Malformed {
    /// Sends them all to a node of its own on this folder.
    ///
    /// # Errors
    /// On the first input that is answered wrongly, whose number is told; when anything was changed;
    /// when anything panicked; when memory grew by more than 64 MiB after the first tenth.
    pub async fn run(&self, binary: &str, data: &Path) -> Result<Judged> {
        let seeds = seeds::Seeds::read()?;
        let log = data.with_extension("log");
        let mut options = NodeOptions::new(binary, data);
        options.stderr = Some(log.clone());
        // Who floods is not told to wait, and what the key may not do is not kept for as long as this runs.
        let settings = [
            ("MESH_TENANTS_COMMANDS_PER_SECOND", "10000000"),
            ("MESH_TENANTS_COMMANDS_BURST", "10000000"),
            ("MESH_POLICY_DENIALS_EVERY", "1h"),
        ];
        options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mut node = Node::start(&options)?;
        let mut client = node.client().await?;
        furnish(&mut client).await?;
        let before = everything(&mut client).await?;

        let mut judged = Judged::default();
        for tenth in 0..10 {
            let first = self.first + self.count * tenth / 10;
            let until = self.first + self.count * (tenth + 1) / 10;
            let sent = self.send(&seeds, &node, first..until, &mut judged).await;
            sent.with_context(|| format!("the node's log ends with: {}", end_of(&log)))?;
            judged.resident.push(resident(node.pid())?);
            println!("{until}: {:?} KiB", judged.resident.last());
            let changed = everything(&mut client).await? != before;
            ensure!(!changed, "something was changed by the inputs {first} to {until} of seed {}", self.seed);
        }
        node.terminate()?;
        let said = fs::read_to_string(&log)?;
        let panic = said.lines().find(|line| line.contains("panicked"));
        ensure!(panic.is_none(), "a panic: {panic:?}");
        let (warm, most) = (judged.resident.first().copied(), judged.resident.iter().copied().max());
        let grown = most.unwrap_or_default().saturating_sub(warm.unwrap_or_default());
        ensure!(grown <= GROWTH_MAX, "memory has grown by {grown} KiB: {:?}", judged.resident);
        Ok(judged)
    }

    async fn send(
        &self,
        seeds: &seeds::Seeds,
        node: &Node,
        numbers: std::ops::Range<u64>,
        judged: &mut Judged,
    ) -> Result<()> {
        let channel = Endpoint::new(node.grpc.clone())?.connect().await?;
        let (key, host) = (node.key()?, node.http.trim_start_matches("http://").to_owned());
        let (channel, key, host) = (&channel, key.as_str(), host.as_str());
        let seed = self.seed;
        let one = |number: u64| async move {
            let mut chance = Chance::of(seed, number);
            if chance.once_in(OVER_HTTP) {
                web::send(host, web::request(seeds, host, key, &mut chance)?).await
            } else {
                grpc::send(channel, grpc::request(seeds, key, &mut chance)?).await
            }
        };
        let sent = stream::iter(numbers).map(|number| async move {
            let told = one(number).await;
            told.with_context(|| format!("input {number} of seed {seed}: see it alone with --first {number} --count 1"))
        });
        sent.buffer_unordered(AT_ONCE)
            .try_for_each(|told| {
                *judged.ends.entry(format!("{told:?}")).or_default() += 1;
                async { Ok(()) }
            })
            .await
    }
}

/// What there is to be changed: a definition, a run that waits, a second tenant.
async fn furnish(client: &mut Client) -> Result<()> {
    client.publish(include_str!("../../seeds/definitions/waits.yaml")).await?;
    let run = client.submit("waits", "one", &serde_json::json!({ "name": "a", "count": 1 })).await?;
    let tenant = v1::CreateTenantRequest { tenant_id: "other".to_owned(), ..Default::default() };
    let position = client.tenants.create_tenant(tenant).await?.into_inner().position;
    let request = v1::ListTenantsRequest { min_position: position, ..Default::default() };
    client.tenants.list_tenants(request).await?;
    let began = Instant::now();
    while client.run(&run).await?.state() != v1::RunState::Waiting {
        ensure!(began.elapsed().as_secs() < 30, "`{run}` does not come to wait");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Everything that the lists show, and the position of the journal that they stand at.
async fn everything(client: &mut Client) -> Result<Vec<Vec<u8>>> {
    let workflows = &mut client.workflows;
    let mut all = vec![
        workflows.list_runs(v1::ListRunsRequest::default()).await?.into_inner().encode_to_vec(),
        workflows.list_definitions(v1::ListDefinitionsRequest::default()).await?.into_inner().encode_to_vec(),
        client.approvals.list_approvals(v1::ListApprovalsRequest::default()).await?.into_inner().encode_to_vec(),
        client.blueprints.list_blueprints(v1::ListBlueprintsRequest::default()).await?.into_inner().encode_to_vec(),
        client
            .dead_letters
            .list_dead_letters(v1::ListDeadLettersRequest::default())
            .await?
            .into_inner()
            .encode_to_vec(),
        client.tenants.list_tenants(v1::ListTenantsRequest::default()).await?.into_inner().encode_to_vec(),
    ];
    let keys = v1::ListApiKeysRequest { include_revoked: true, ..Default::default() };
    all.push(client.tenants.list_api_keys(keys).await?.into_inner().encode_to_vec());
    Ok(all)
}

/// The last lines of a log.
fn end_of(log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = said.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Resident memory of a process. **Units**: KiB.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
