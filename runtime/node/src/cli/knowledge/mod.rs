//! `mesh knowledge`: documents in, pieces of them out.

mod find;
mod ingest;
mod shelf;
mod walk;

use clap::{Args, Subcommand, ValueEnum};
use mesh_proto::v1;

use super::{Failure, args::PageArgs, context::Context};

/// What can be done with knowledge.
#[derive(Debug, Subcommand)]
pub(crate) enum Knowledge {
    /// Take a folder or a git repository in: what is new or changed is sent, what is gone is forgotten
    Ingest(ingest::Ingest),
    /// Find pieces of documents by words and by meaning
    Search(find::Search),
    /// Build a context package: cited pieces within a budget of tokens; or show one that was built
    Context(find::Package),
    /// List the sources of a collection, with their figures
    Sources(shelf::Named),
    /// List the documents of a source, and what became of each
    Documents(shelf::Documents),
    /// Let documents, or a whole source, be found no more, and erase their bodies
    Forget(shelf::Forget),
    /// Show every collection: what it has, what waits, what makes its vectors
    Status(PageArgs),
}

/// How far content may travel.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Class {
    /// Anyone may see it
    Public,
    /// Anyone in the tenant may see it
    Internal,
    /// Those who build and approve may see it
    Confidential,
    /// Admins may see it
    Restricted,
}

impl From<Class> for v1::Classification {
    fn from(class: Class) -> Self {
        match class {
            Class::Public => Self::Public,
            Class::Internal => Self::Internal,
            Class::Confidential => Self::Confidential,
            Class::Restricted => Self::Restricted,
        }
    }
}

/// Which collection.
#[derive(Debug, Clone, Args)]
pub(super) struct In {
    /// The collection
    #[arg(long, value_name = "NAME", default_value = "default")]
    collection: String,
}

pub(super) async fn dispatch(command: Knowledge, context: Context) -> Result<(), Failure> {
    match command {
        Knowledge::Ingest(args) => ingest::ingest(args, context).await,
        Knowledge::Search(args) => find::search(args, context).await,
        Knowledge::Context(args) => find::package(args, context).await,
        Knowledge::Sources(args) => shelf::sources(args, context).await,
        Knowledge::Documents(args) => shelf::documents(args, context).await,
        Knowledge::Forget(args) => shelf::forget(args, context).await,
        Knowledge::Status(page) => shelf::status(page, context).await,
    }
}
