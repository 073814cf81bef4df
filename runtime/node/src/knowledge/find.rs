//! Pieces that are found, over all collections that are asked for.

use mesh_kernel::{
    envelope::{Classification, ErrorKind, Refusal, Role},
    path::Caller,
};
use mesh_knowledge::shelf::{Candidate, Shelved, Wanted};
use mesh_proto::v1;

use super::{Knowledge, missing, redacted, refused, said};

/// Longest query and intent. **Units**: bytes.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Collections that one request may search.
const COLLECTIONS_MAX: usize = 16;

/// What is looked for, and where.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The collections; all when there is none.
    pub collections: Vec<String>,
    /// In words.
    pub text: String,
    /// Only of these sources.
    pub sources: Vec<String>,
    /// Only of documents whose path begins so.
    pub path_prefix: String,
    /// Nothing above this.
    pub ceiling: Classification,
    /// Only what was written inside.
    pub inside_only: bool,
    /// How many at most.
    pub count: usize,
    /// What the policy is asked.
    pub action: &'static str,
    /// What the words are called in the request.
    pub field: &'static str,
}

/// How high a caller may look: who only reads sees what is internal, who builds what is confidential.
pub fn ceiling_of(caller: &Caller) -> Classification {
    let principal = caller.principal();
    let has = |roles: &[Role]| roles.iter().any(|role| principal.has(*role));
    match () {
        () if has(&[Role::Admin, Role::Operator, Role::System]) => Classification::Restricted,
        () if has(&[Role::Developer, Role::Approver]) => Classification::Confidential,
        () => Classification::Internal,
    }
}

impl Knowledge {
    /// The best pieces of all collections that are asked for. Nothing above the ceiling is among them.
    ///
    /// # Errors
    /// What is wrong with the request; `NotFound` when there is no such collection; as [`Knowledge::search`].
    pub async fn find(&self, caller: &Caller, asked: &Asked) -> Result<Vec<Candidate>, Refusal> {
        if asked.text.trim().is_empty() || asked.text.len() > QUERY_BYTES_MAX {
            let what = format!("words are expected, {QUERY_BYTES_MAX} bytes of them at most");
            return Err(refused(asked.field, what));
        }
        if asked.collections.len() > COLLECTIONS_MAX {
            return Err(refused("collections", format!("at most {COLLECTIONS_MAX} are searched at once")));
        }
        self.mesh()?.admit_read(caller, asked.action)?;
        let names = match asked.collections.is_empty() {
            true => self.all(caller).await?,
            false => asked.collections.clone(),
        };
        let mut found = Vec::new();
        for name in &names {
            let stands = self.standing(caller, name, asked.action).await?;
            let stands = stands.ok_or_else(|| missing("collection", name))?;
            let wanted = Wanted {
                text: asked.text.clone(),
                count: asked.count,
                sources: asked.sources.clone(),
                path_prefix: asked.path_prefix.clone(),
                ceiling: asked.ceiling,
                inside_only: asked.inside_only,
            };
            found.extend(self.search(caller, name, &stands.standing(), wanted).await?);
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(asked.count);
        Ok(found)
    }

    async fn all(&self, caller: &Caller) -> Result<Vec<String>, Refusal> {
        let (names, has_more) = self.collections.names(caller.scope(), COLLECTIONS_MAX).await?;
        if names.is_empty() {
            let what = "there is no collection: `mesh knowledge ingest FOLDER` makes one";
            return Err(Refusal::new("KNO-0015", ErrorKind::NotFound, what));
        }
        if has_more {
            let what = format!("there are more than {COLLECTIONS_MAX}: name those to search");
            return Err(refused("collections", what));
        }
        Ok(names)
    }
}

/// A piece as answers say it.
pub fn told(candidate: Candidate) -> v1::Match {
    let Candidate { collection, shelved, score, lexical_rank, vector_rank } = candidate;
    let Shelved { piece, document } = shelved;
    let text = redacted(&piece.text).unwrap_or(piece.text);
    v1::Match {
        chunk_id: piece.id.to_string(),
        collection,
        source: document.source,
        path: document.path,
        revision: document.revision,
        first_line: piece.first_line,
        last_line: piece.last_line,
        place: piece.place,
        text,
        score,
        lexical_rank: lexical_rank.unwrap_or_default(),
        vector_rank: vector_rank.unwrap_or_default(),
        classification: said(document.classification).into(),
        tainted: document.outside,
        tokens: piece.tokens,
    }
}
