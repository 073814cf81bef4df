//! What a collection does with what it is told.

use super::{State, TIMER};
use crate::knowledge::{
    Error,
    config::Config,
    messages::{CollectionCommand as Command, CollectionEvent as Event, Document, Origin},
};

/// Longest name of a source. **Units**: bytes.
const NAME_LEN_MAX: usize = 120;
/// Longest path of a document. **Units**: bytes.
const PATH_LEN_MAX: usize = 1_000;

pub(super) fn decide(config: &Config, state: &State, command: Command) -> Result<Vec<Event>, Error> {
    match command {
        Command::IngestDocuments { origin, documents, removed } => ingest(config, state, origin, documents, removed),
        Command::ForgetDocuments { source, paths } => forget(state, source, paths),
        Command::RebuildIndex { generation, reason } => {
            let is_new = generation == state.generation && state.documents() > 0;
            Ok(is_new.then_some(Event::IndexRebuilt { reason }).into_iter().collect())
        }
        // An outcome of a round that was given up, or of a lost index, is late and says nothing.
        Command::RecordIndexed { round, generation, documents, removed, bodies } => {
            let is_next = round == state.rounds + 1 && generation == state.generation;
            Ok(is_next.then_some(Event::DocumentsIndexed { round, documents, removed, bodies }).into_iter().collect())
        }
        Command::RecordFailure { round, generation, reason } => {
            let is_next = round == state.rounds + 1 && generation == state.generation && state.retry_at.is_none();
            Ok(is_next.then_some(Event::IndexingFailed { round, reason }).into_iter().collect())
        }
        Command::FireTimer { name, due } => {
            let is_due = name == TIMER && state.retry_at == Some(due);
            Ok(is_due.then_some(Event::IndexingResumed {}).into_iter().collect())
        }
    }
}

fn ingest(
    config: &Config,
    state: &State,
    origin: Origin,
    mut documents: Vec<Document>,
    mut removed: Vec<String>,
) -> Result<Vec<Event>, Error> {
    name(&origin.name)?;
    documents.iter().try_for_each(|document| path(&document.path))?;
    let source = state.sources.get(&origin.name);
    let known = |path: &str| source.and_then(|source| source.documents.get(path));
    documents.retain(|document| known(&document.path).is_none_or(|known| known.content != document.content));
    removed.retain(|path| known(path).is_some());
    if documents.is_empty() && removed.is_empty() && source.is_some_and(|source| source.origin == origin) {
        return Ok(Vec::new());
    }
    if source.is_none() && state.sources.len() >= config.sources_max {
        return Err(Error::Full { what: "sources", max: config.sources_max });
    }
    let new = documents.iter().filter(|document| known(&document.path).is_none()).count();
    if state.documents() + new > config.documents_max {
        return Err(Error::Full { what: "documents", max: config.documents_max });
    }
    if !documents.is_empty() && state.pending.len() >= config.pending_max {
        return Err(Error::Busy { pending: state.pending.len() });
    }
    Ok(vec![Event::DocumentsIngested { origin, documents, removed }])
}

fn forget(state: &State, source: String, paths: Vec<String>) -> Result<Vec<Event>, Error> {
    let Some(found) = state.sources.get(&source) else {
        return Err(Error::NoSource { source_name: cut(&source) });
    };
    if let Some(missing) = paths.iter().find(|path| !found.documents.contains_key(*path)) {
        return Err(Error::NoDocument { source_name: source, path: cut(missing) });
    }
    Ok(vec![Event::DocumentsForgotten { source, paths }])
}

fn name(name: &str) -> Result<(), Error> {
    let is_fine = !name.is_empty()
        && name.len() <= NAME_LEN_MAX
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    is_fine.then_some(()).ok_or_else(|| Error::Name {
        name: cut(name),
        what: "name of a source",
        want: "letters, digits, `-`, `_`, `.` and `/` are taken, 120 bytes at most",
    })
}

fn path(path: &str) -> Result<(), Error> {
    let is_fine = path.len() <= PATH_LEN_MAX
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    is_fine.then_some(()).ok_or_else(|| Error::Name {
        name: cut(path),
        what: "path of a document",
        want: "a relative path with `/`, without `..`, 1,000 bytes at most is taken",
    })
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
