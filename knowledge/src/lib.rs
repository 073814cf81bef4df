//! Retrieval, context packages and the lineage graph.
//!
//! Rooms, lowest first: `id` names chunks; `chunk` cuts documents, `embed` turns texts into vectors,
//! `vectors` and `lexical` find them again, `fuse` joins what the legs found; `shelf` keeps all of a collection, and
//! `context` makes packages of what it finds; `lineage` is the graph of what came from what. A room uses rooms before
//! it and none behind it.
//!
//! INVARIANT: every index here is a projection of the journal. It can be thrown away and made again, and it
//! knows to which position it stands. One index is one tenant's: nothing here holds two tenants' data in one
//! file, one map or one cache.

pub mod chunk;
pub mod context;
pub mod embed;
pub mod fuse;
pub mod id;
pub mod lexical;
pub mod lineage;
pub mod shelf;
mod sys;
pub mod tokens;
pub mod vectors;
