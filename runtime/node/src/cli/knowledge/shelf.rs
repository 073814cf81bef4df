//! `mesh knowledge sources`, `documents`, `forget`, `status`.

use clap::Args;
use mesh_proto::v1;

use super::In;
use crate::{
    cli::{
        Failure,
        args::PageArgs,
        clients,
        context::{Context, fresh_request_id},
        output::{Table, age, clean, label},
    },
    telemetry::bytes,
};

/// A collection.
#[derive(Debug, Args)]
pub(crate) struct Named {
    #[command(flatten)]
    place: In,
}

/// What `mesh knowledge documents` takes.
#[derive(Debug, Args)]
pub(crate) struct Documents {
    /// The source
    #[arg(value_name = "SOURCE")]
    source: String,
    #[command(flatten)]
    place: In,
    /// Only those of which nothing could be made
    #[arg(long)]
    skipped: bool,
    #[command(flatten)]
    page: PageArgs,
}

/// What `mesh knowledge forget` takes.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The source
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Documents of it; the whole source when there is none
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    place: In,
}

pub(super) async fn sources(args: Named, context: Context) -> Result<(), Failure> {
    let request = v1::GetCollectionRequest { collection: args.place.collection };
    let answer = clients::knowledge(context.link().await?).get_collection(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("GetCollectionResponse", &answer);
    }
    let collection = answer.collection.ok_or(Failure::Lacking("collection"))?;
    let heads = &["SOURCE", "KIND", "DOCUMENTS", "CHUNKS", "WAITING", "SKIPPED", "SIZE", "CLASS", "CHANGED", "FROM"];
    let mut table = Table::new(heads);
    for figures in &collection.sources {
        let source = figures.source.clone().unwrap_or_default();
        let class = label(source.classification().as_str_name(), "CLASSIFICATION_");
        let class = if source.outside { format!("{class}, outside") } else { class };
        table.row([
            clean(&source.name).into(),
            clean(&source.kind).into(),
            figures.documents.to_string().into(),
            figures.chunks.to_string().into(),
            figures.pending.to_string().into(),
            figures.skipped.to_string().into(),
            bytes(figures.bytes).into(),
            class.into(),
            age(figures.changed_at, context.now()).into(),
            clean(&source.uri).into(),
        ]);
    }
    Ok(context.out.table(&table, "no sources")?)
}

pub(super) async fn documents(args: Documents, context: Context) -> Result<(), Failure> {
    let request = v1::ListDocumentsRequest {
        collection: args.place.collection,
        source: args.source,
        skipped_only: args.skipped,
        page_size: args.page.limit,
        page_token: args.page.page,
    };
    let answer = clients::knowledge(context.link().await?).list_documents(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListDocumentsResponse", &answer);
    }
    let mut table = Table::new(&["DOCUMENT", "SIZE", "CHUNKS", "COMMIT", ""]);
    for document in &answer.documents {
        let state = if document.pending { "waits for the index" } else { document.skipped.as_str() };
        table.row([
            clean(&document.path).into(),
            bytes(document.bytes).into(),
            document.chunks.to_string().into(),
            clean(&document.revision).into(),
            clean(state).into(),
        ]);
    }
    context.out.table(&table, "no documents")?;
    context.more(&answer.next_page_token)
}

pub(super) async fn forget(args: Forget, context: Context) -> Result<(), Failure> {
    let count = args.paths.len();
    let source = args.source.clone();
    let request = v1::ForgetDocumentsRequest {
        collection: args.place.collection,
        source: args.source,
        paths: args.paths,
        request_id: fresh_request_id(),
    };
    let answer = clients::knowledge(context.link().await?).forget_documents(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ForgetDocumentsResponse", &answer);
    }
    let what = if count == 0 { "all of it".to_owned() } else { format!("{count} documents") };
    Ok(context.out.line(format!("{}: {what} is forgotten", clean(&source)))?)
}

pub(super) async fn status(page: PageArgs, context: Context) -> Result<(), Failure> {
    let mut client = clients::knowledge(context.link().await?);
    let request = v1::ListCollectionsRequest { page_size: page.limit, page_token: page.page };
    let listed = client.list_collections(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListCollectionsResponse", &listed);
    }
    let mut table = Table::new(&["COLLECTION", "SOURCES", "DOCUMENTS", "CHUNKS", "WAITING", "MEANING BY", ""]);
    for name in listed.collections {
        let request = v1::GetCollectionRequest { collection: name };
        let answer = client.get_collection(request).await?.into_inner();
        let collection = answer.collection.ok_or(Failure::Lacking("collection"))?;
        let documents: u32 = collection.sources.iter().map(|source| source.documents).sum();
        table.row([
            clean(&collection.name).into(),
            collection.sources.len().to_string().into(),
            documents.to_string().into(),
            collection.chunks.to_string().into(),
            collection.pending.to_string().into(),
            clean(&collection.model.unwrap_or_default().name).into(),
            clean(&collection.problem).into(),
        ]);
    }
    context.out.table(&table, "no collections: `mesh knowledge ingest FOLDER` makes one")?;
    context.more(&listed.next_page_token)
}
