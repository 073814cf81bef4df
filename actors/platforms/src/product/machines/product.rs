//! The product: the latest delivery and where it answers.

use std::convert::Infallible;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, ErrorKind, Kind, Refuse, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::product::messages::{Delivery, ProductCommand as Command, ProductEvent as Event};

/// Decides for products.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProductMachine;

/// What is true of a product.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    product: String,
    delivery: Option<Delivery>,
    delivered_at: Option<Timestamp>,
    deliveries: u32,
    /// Where it answers now; absent while it does not.
    url: Option<String>,
    /// Whether its process ever told; from then on the process knows better than a delivery.
    told: bool,
}

/// Facts are never refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Never(Infallible);

impl Refuse for Never {
    fn code(&self) -> &'static str {
        match self.0 {}
    }

    fn kind(&self) -> ErrorKind {
        match self.0 {}
    }
}

impl Decider for ProductMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Never;

    const KIND: Kind = Kind { platform: "product", name: "product" };

    fn initial(&self, address: &Address) -> State {
        State { product: address.id().to_owned(), ..State::default() }
    }

    fn decide(&self, state: &State, command: Command, _cause: &Cause) -> Result<Vec<Event>, Never> {
        let event = match command {
            Command::RecordDelivery(delivery) if state.delivery.as_ref() != Some(&delivery) => {
                Event::ProductDelivered(delivery)
            }
            Command::RecordServing { url } if state.url.as_ref() != Some(&url) => Event::ProductServed { url },
            Command::RecordStop {} if state.url.is_some() => Event::ProductStopped {},
            _ => return Ok(Vec::new()),
        };
        Ok(vec![event])
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::ProductDelivered(delivery) => {
                if !state.told {
                    state.url = Some(delivery.url.clone());
                }
                state.delivery = Some(delivery);
                state.delivered_at = Some(recorded.at);
                state.deliveries += 1;
            }
            Event::ProductServed { url } => {
                state.url = Some(url);
                state.told = true;
            }
            Event::ProductStopped {} => {
                state.url = None;
                state.told = true;
            }
        }
    }

    /// The delivery's facts, with the address where the product answers now.
    fn view(&self, state: &State, _what: &str) -> serde_json::Value {
        let delivery = state.delivery.as_ref();
        serde_json::json!({
            "product": state.product,
            "state": if state.url.is_some() { "Serving" } else { "Stopped" },
            "url": state.url,
            "run": delivery.map(|d| &d.run),
            "repository": delivery.map(|d| &d.repository),
            "commit": delivery.map(|d| &d.commit),
            "blueprintDigest": delivery.map(|d| &d.blueprint_digest),
            "tests": delivery.map(|d| &d.tests),
            "logins": delivery.map(|d| &d.logins),
            "deliveredAt": state.delivered_at,
            "deliveries": state.deliveries,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        product::messages::Tests,
        table::{Row, Table, check},
    };

    fn deliver(run: &str, url: &str) -> Command {
        Command::RecordDelivery(Delivery {
            run: run.into(),
            url: url.into(),
            repository: "products/helpdesk/repository".into(),
            commit: "1111111".into(),
            blueprint_digest: "sha256:00".into(),
            tests: Tests { passed: 20, failed: 0 },
            logins: json!([{ "tenant": "alpha" }]),
        })
    }

    fn serve(url: &str) -> Command {
        Command::RecordServing { url: url.into() }
    }

    #[test]
    fn a_product_tells_its_latest_delivery_and_where_it_answers_now() {
        let mut table = Table::new(ProductMachine, "acme/product/product/helpdesk");
        let rows: [(Row<Command>, Value); 8] = [
            (("nothing to stop", Command::RecordStop {}, Ok(&[])), Value::Null),
            (("delivered", deliver("run-1", "u1"), Ok(&["ProductDelivered"])), json!("u1")),
            (("told again", deliver("run-1", "u1"), Ok(&[])), json!("u1")),
            (("moved", serve("u2"), Ok(&["ProductServed"])), json!("u2")),
            (("stays", serve("u2"), Ok(&[])), json!("u2")),
            // The process was restarted while its run was still going: it knows better.
            (("delivered anew", deliver("run-2", "u1"), Ok(&["ProductDelivered"])), json!("u2")),
            (("stopped", Command::RecordStop {}, Ok(&["ProductStopped"])), Value::Null),
            (("served again", serve("u3"), Ok(&["ProductServed"])), json!("u3")),
        ];
        for ((what, command, expected), url) in rows {
            check(what, table.send(command), expected);
            assert_eq!(table.view()["url"], url, "{what}");
        }
        assert_eq!(table.view()["deliveries"], 2);
        assert_eq!(table.view()["run"], "run-2");
    }
}
