//! Skills of Agent Mesh in a process of your own.
//!
//! A [`Worker`] registers its skills, dials in, and does what runs ask of it. It may be started as often as is
//! needed; calls are spread over all that have the skill. When the connection is lost it goes on with what it
//! has and dials again, and an outcome is kept until the node has it.
//!
//! ```no_run
//! use mesh_worker::{Skill, Worker};
//! use serde_json::json;
//!
//! # async fn example() -> Result<(), mesh_worker::Error> {
//! let shout = Skill::pure("acme.shout", "1.0.0", "Says it in capitals.")
//!     .takes(json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } } }));
//! Worker::new("http://127.0.0.1:7400", "the API key")
//!     .skill(shout, |call| async move {
//!         let text = call.input.get("text").and_then(|text| text.as_str()).unwrap_or_default().to_uppercase();
//!         Ok(json!({ "text": text }))
//!     })
//!     .run(std::future::pending())
//!     .await
//! # }
//! ```
//!
//! A call may come again under the same [`Call::key`], with a higher [`Call::attempt`], when nobody knows what
//! became of it: a skill that changes something outside hands the key on.

mod call;
mod connection;
mod skill;
mod worker;

pub use call::{Call, Failure};
pub use skill::{Ceiling, Skill};
pub use worker::{Error, Worker};
