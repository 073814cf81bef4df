//! What Runtime & Cloud does because of others' events: a finished product that is wanted again is
//! served again.

use mesh_kernel::{
    entity::{Decider, encode_tagged},
    envelope::{Address, Envelope, Kind},
    follow::{Reaction, Reactor},
};
use serde::Deserialize;

use super::{machines::workload::WorkloadMachine, messages::WorkloadCommand};

const BLUEPRINT: Kind = Kind { platform: "control-plane", name: "blueprint" };

/// The reactions of Runtime & Cloud.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactions;

#[derive(Deserialize)]
struct ServingRequested {
    name: String,
}

impl Reactor for Reactions {
    fn name(&self) -> &'static str {
        "runtime-cloud"
    }

    fn interests(&self) -> &'static [&'static str] {
        &["ProductServingRequested"]
    }

    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        match event.event_type.as_ref() {
            "ProductServingRequested" if event.headers.subject.is(BLUEPRINT) => serve(event).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

fn serve(event: &Envelope) -> Option<Reaction> {
    let asked: ServingRequested = serde_json::from_slice(&event.payload).ok()?;
    Some(Reaction {
        to: Address::new(&event.tenant_id, WorkloadMachine::KIND, &asked.name).ok()?,
        command: encode_tagged(&WorkloadCommand::ServeWorkload {}, 1).ok()?,
        handler: "serve",
    })
}
