//! What a product learns from others' events: what a run delivered, and where it answers.

use mesh_kernel::{
    entity::{Decider, encode_tagged},
    envelope::{Address, Envelope, Kind},
    follow::{Reaction, Reactor},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    machines::product::ProductMachine,
    messages::{Delivery, ProductCommand, Tests},
};
use crate::delivery::{Delivered, delivered};

const WORKLOAD: Kind = Kind { platform: "runtime-cloud", name: "workload" };

/// The reactions of the product's room.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactions;

/// What a run that makes a product gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outputs {
    url: String,
    repository: String,
    commit: String,
    #[serde(default)]
    blueprint_digest: String,
    #[serde(default)]
    tests: Tests,
    #[serde(default)]
    logins: Value,
}

#[derive(Deserialize)]
struct Served {
    url: String,
}

impl Reactor for Reactions {
    fn name(&self) -> &'static str {
        "product"
    }

    fn interests(&self) -> &'static [&'static str] {
        &["RunSucceeded", "ProcessStarted", "ProcessAdopted", "ProcessExited", "WorkloadStopRequested"]
    }

    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        let subject = &event.headers.subject;
        let reaction = match event.event_type.as_ref() {
            "RunSucceeded" => deliver(event),
            "ProcessStarted" | "ProcessAdopted" if subject.is(WORKLOAD) => serve(event),
            "ProcessExited" | "WorkloadStopRequested" if subject.is(WORKLOAD) => {
                tell(event, subject.id(), &ProductCommand::RecordStop {}, "stop")
            }
            _ => None,
        };
        reaction.into_iter().collect()
    }
}

fn deliver(event: &Envelope) -> Option<Reaction> {
    let Delivered::<Outputs> { run, product, outputs } = delivered(event)?;
    let delivery = Delivery {
        run,
        url: outputs.url,
        repository: outputs.repository,
        commit: outputs.commit,
        blueprint_digest: outputs.blueprint_digest,
        tests: outputs.tests,
        logins: outputs.logins,
    };
    tell(event, &product, &ProductCommand::RecordDelivery(delivery), "deliver")
}

fn serve(event: &Envelope) -> Option<Reaction> {
    let Served { url } = serde_json::from_slice(&event.payload).ok()?;
    tell(event, event.headers.subject.id(), &ProductCommand::RecordServing { url }, "serve")
}

fn tell(event: &Envelope, product: &str, command: &ProductCommand, handler: &'static str) -> Option<Reaction> {
    Some(Reaction {
        to: Address::new(&event.tenant_id, ProductMachine::KIND, product).ok()?,
        command: encode_tagged(command, 1).ok()?,
        handler,
    })
}
