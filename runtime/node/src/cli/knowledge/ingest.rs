//! `mesh knowledge ingest`.

use std::{
    collections::BTreeSet,
    fs,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use mesh_kernel::ports::Digest;
use mesh_proto::v1;
use serde_json::json;
use tonic::Code;

use super::{Class, In, walk};
use crate::cli::{
    Failure, clients,
    connect::Link,
    context::{Context, fresh_request_id},
    output::clean,
};

/// Documents of one request.
const BATCH: usize = 100;
/// Bytes of one request, but for its first document.
const BATCH_BYTES: usize = 8 << 20;
/// Largest document that the node takes. **Units**: bytes.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// How often the node is asked what waits.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the index may make no step before waiting ends.
const STANDS_STILL_MAX: Duration = Duration::from_secs(600);

/// Documents that are told as left out, for people.
const LEFT_OUT_SHOWN: usize = 10;

/// What `mesh knowledge ingest` takes.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// A folder, or a git repository or a folder of one, of which the files that git keeps are taken
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    place: In,
    /// The name of the source within the collection; the folder's name when not given
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// How far its content may travel
    #[arg(long, value_enum, default_value = "internal")]
    classification: Class,
    /// It was written by somebody outside: what is made of it is tainted
    #[arg(long)]
    outside: bool,
    /// Send the documents, and do not wait until they can be found
    #[arg(long)]
    no_wait: bool,
}

/// What became of an ingestion.
#[derive(Debug, Default)]
struct Told {
    taken: u32,
    unchanged: u32,
    removed: u32,
    /// Files that were not sent, and why.
    unsent: Vec<(String, String)>,
}

pub(super) async fn ingest(args: Ingest, context: Context) -> Result<(), Failure> {
    let found = walk::walk(&args.folder)?;
    let collection = args.place.collection.clone();
    let source = source(&args, &found)?;
    let (digests, mut told) = digests(&args.folder, &found);
    let link = context.link().await?;
    let planned = clients::knowledge(link.clone())
        .plan_ingest(v1::PlanIngestRequest {
            collection: collection.clone(),
            source: source.name.clone(),
            documents: digests,
        })
        .await?
        .into_inner();
    told.unchanged = planned.unchanged;
    let mut sending = Sending { link: link.clone(), collection: collection.clone(), source: source.clone(), told };
    sending.all(&args.folder, &found, planned).await?;
    let told = sending.told;
    let done = match args.no_wait {
        true => figures(&link, &collection).await?,
        false => indexed(&link, &collection, &context).await?,
    };
    let skipped = match args.no_wait {
        true => Vec::new(),
        false => skipped(&link, &collection, &source.name).await?,
    };
    say(&told, &done, &source.name, &skipped, &context)
}

fn source(args: &Ingest, found: &walk::Found) -> Result<v1::KnowledgeSource, Failure> {
    let own = args.folder.canonicalize();
    let own = own.map_err(|source| Failure::File { path: args.folder.clone(), verb: "read", source })?;
    let named = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let named: String = named.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    let name = args.source.clone().unwrap_or(named);
    Ok(v1::KnowledgeSource {
        name,
        uri: found.uri.clone(),
        kind: found.kind.to_owned(),
        classification: v1::Classification::from(args.classification).into(),
        outside: args.outside,
    })
}

/// What each file holds now. Those that cannot be sent are told.
fn digests(folder: &Path, found: &walk::Found) -> (Vec<v1::DocumentDigest>, Told) {
    let mut told = Told::default();
    let mut digests = Vec::with_capacity(found.files.len());
    for (path, _) in &found.files {
        match read(folder, path) {
            Ok(body) => {
                digests.push(v1::DocumentDigest { path: path.clone(), digest: Digest::of(&body).to_string() });
            }
            Err(why) => told.unsent.push((path.clone(), why)),
        }
    }
    (digests, told)
}

fn read(folder: &Path, path: &str) -> Result<Vec<u8>, String> {
    let file = folder.join(path);
    let length = fs::metadata(&file).map_err(|error| error.to_string())?.len();
    if length > DOCUMENT_BYTES_MAX {
        return Err(format!("too large: {length} bytes, and {DOCUMENT_BYTES_MAX} are taken at most"));
    }
    fs::read(&file).map_err(|error| error.to_string())
}

/// Sends what the node wants, in batches.
struct Sending {
    link: Link,
    collection: String,
    source: v1::KnowledgeSource,
    told: Told,
}

impl Sending {
    async fn all(
        &mut self,
        folder: &Path,
        found: &walk::Found,
        planned: v1::PlanIngestResponse,
    ) -> Result<(), Failure> {
        let wanted: BTreeSet<String> = planned.wanted.into_iter().collect();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        // What is gone goes with the first request: also when nothing is new.
        let mut removed = planned.gone;
        for (path, is_committed) in found.files.iter().filter(|(path, _)| wanted.contains(path)) {
            let body = match read(folder, path) {
                Ok(body) => body,
                Err(why) => {
                    self.told.unsent.push((path.clone(), why));
                    continue;
                }
            };
            if !batch.is_empty() && (batch.len() >= BATCH || bytes + body.len() > BATCH_BYTES) {
                self.send(std::mem::take(&mut batch), std::mem::take(&mut removed)).await?;
                bytes = 0;
            }
            bytes += body.len();
            let revision = if *is_committed { found.revision.clone() } else { String::new() };
            batch.push(v1::NewDocument { path: path.clone(), body: body.into(), revision });
        }
        self.send(batch, removed).await
    }

    /// One request. While the index is too far behind the node says so, and it is tried again.
    async fn send(&mut self, documents: Vec<v1::NewDocument>, removed: Vec<String>) -> Result<(), Failure> {
        let request = v1::IngestDocumentsRequest {
            collection: self.collection.clone(),
            source: Some(self.source.clone()),
            documents,
            removed,
            request_id: fresh_request_id(),
        };
        let mut waited = Duration::ZERO;
        loop {
            let sent = clients::knowledge(self.link.clone()).ingest_documents(request.clone()).await;
            match sent {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    self.told.taken += answer.taken;
                    self.told.removed += answer.removed;
                    return Ok(());
                }
                Err(status) if status.code() == Code::ResourceExhausted && waited < STANDS_STILL_MAX => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    waited += LOOK_EVERY;
                }
                Err(status) => return Err(status.into()),
            }
        }
    }
}

async fn figures(link: &Link, collection: &str) -> Result<v1::Collection, Failure> {
    let request = v1::GetCollectionRequest { collection: collection.to_owned() };
    let answer = clients::knowledge(link.clone()).get_collection(request).await?.into_inner();
    answer.collection.ok_or(Failure::Lacking("collection"))
}

/// Waits until nothing waits for the index, and says how far it is where a person looks.
async fn indexed(link: &Link, collection: &str, context: &Context) -> Result<v1::Collection, Failure> {
    let shows = std::io::stderr().is_terminal() && !context.out.is_json();
    let (mut total, mut last, mut still) = (0, u32::MAX, Duration::ZERO);
    loop {
        let now = figures(link, collection).await?;
        total = total.max(now.pending);
        if shows && total > 0 {
            bar(total - now.pending, total)?;
        }
        if now.pending == 0 {
            return Ok(now);
        }
        still = if now.pending == last { still + LOOK_EVERY } else { Duration::ZERO };
        last = now.pending;
        if still >= STANDS_STILL_MAX {
            let why = if now.problem.is_empty() { "it made no step for 10 minutes" } else { &now.problem };
            let what = format!("{} documents wait for the index: {why}; they are kept, and", now.pending);
            return Err(Failure::Failed(format!("{what} `mesh knowledge status` tells how far it is")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn bar(done: u32, total: u32) -> Result<(), Failure> {
    let full = 30 * usize::try_from(done).unwrap_or(0) / usize::try_from(total.max(1)).unwrap_or(1);
    let bar: String = (0..30).map(|n| if n < full { '=' } else { ' ' }).collect();
    let end = if done == total { "\n" } else { "" };
    let mut out = std::io::stderr().lock();
    write!(out, "\rindexed [{bar}] {done}/{total}{end}")?;
    Ok(out.flush()?)
}

/// What nothing could be made of, page by page.
async fn skipped(link: &Link, collection: &str, source: &str) -> Result<Vec<v1::Document>, Failure> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListDocumentsRequest {
            collection: collection.to_owned(),
            source: source.to_owned(),
            skipped_only: true,
            page_size: 500,
            page_token,
        };
        let answer = match clients::knowledge(link.clone()).list_documents(request).await {
            Ok(answer) => answer.into_inner(),
            // A source without a document is none.
            Err(status) if status.code() == Code::NotFound => return Ok(all),
            Err(status) => return Err(status.into()),
        };
        all.extend(answer.documents);
        if answer.next_page_token.is_empty() {
            return Ok(all);
        }
        page_token = answer.next_page_token;
    }
}

fn say(
    told: &Told,
    done: &v1::Collection,
    source: &str,
    skipped: &[v1::Document],
    context: &Context,
) -> Result<(), Failure> {
    let Told { taken, unchanged, removed, unsent } = told;
    if context.out.is_json() {
        let unsent: Vec<_> = unsent.iter().map(|(path, why)| json!({ "path": path, "reason": why })).collect();
        let skipped: Vec<_> = skipped.iter().map(|one| json!({ "path": one.path, "reason": one.skipped })).collect();
        let told = json!({
            "collection": done.name, "source": source, "taken": taken, "unchanged": unchanged,
            "removed": removed, "unsent": unsent, "skipped": skipped, "chunks": done.chunks, "pending": done.pending,
        });
        return Ok(context.out.line(told.to_string())?);
    }
    let line = format!(
        "{}/{}: {taken} taken, {unchanged} unchanged, {removed} gone; {} chunks in the collection",
        clean(&done.name),
        clean(source),
        done.chunks
    );
    context.out.line(line)?;
    let unsent = unsent.iter().map(|(path, why)| (path.as_str(), why.as_str()));
    let left: Vec<_> = unsent.chain(skipped.iter().map(|one| (one.path.as_str(), one.skipped.as_str()))).collect();
    for (path, why) in left.iter().take(LEFT_OUT_SHOWN) {
        context.out.line(format!("  left out {}: {}", clean(path), clean(why)))?;
    }
    if let Some(more) = left.len().checked_sub(LEFT_OUT_SHOWN).filter(|more| *more > 0) {
        let (source, collection) = (clean(source), clean(&done.name));
        let all = format!("`mesh knowledge documents {source} --collection {collection} --skipped` lists them");
        context.out.line(format!("  and {more} more: {all}"))?;
    }
    Ok(())
}
