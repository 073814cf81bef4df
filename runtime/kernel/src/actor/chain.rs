//! Who waits for whom: an ask that would come back to someone who waits for its answer is refused at once.
//!
//! Deciders ask nobody, so no entity of ours waits for another; this holds for any behaviour. A handler
//! that asks from a task of its own is not seen, and its wait ends with its deadline.

use std::sync::Arc;

use super::{Item, NotTaken, link::Link};
use crate::envelope::Address;

/// What the handler that runs on this task works for.
struct Work {
    address: Address,
    cause: Option<Arc<Link>>,
}

tokio::task_local! {
    static WORK: Work;
}

impl Work {
    /// Everyone who waits for what this handler does, itself first.
    fn waiting(&self) -> impl Iterator<Item = &Address> {
        let asks = std::iter::successors(self.cause.as_deref(), |link| link.before.as_deref());
        std::iter::once(&self.address).chain(asks.map(|link| &link.asker))
    }

    /// The way from someone who waits to here.
    fn way_from(&self, to: &Address) -> Option<String> {
        let mut way: Vec<&str> = Vec::new();
        for address in self.waiting() {
            way.push(address.as_str());
            if address == to {
                way.reverse();
                return Some(way.join(" → "));
            }
        }
        None
    }
}

/// Runs a handler of this address, which works for what `cause` tells.
pub(super) fn within<F: Future>(
    address: &Address,
    cause: Option<Arc<Link>>,
    handling: F,
) -> impl Future<Output = F::Output> {
    WORK.scope(Work { address: address.clone(), cause }, handling)
}

/// Notes in an ask for whom it is asked.
///
/// # Errors
/// [`NotTaken::Cycle`] when whoever is asked waits for the answer of the handler that asks.
pub(super) fn follow(item: &mut Item) -> Result<(), NotTaken> {
    if item.reply.is_none() {
        return Ok(());
    }
    let to = &item.envelope.headers.subject;
    let link = WORK.try_with(|work| match work.way_from(to) {
        Some(way) => Err(NotTaken::Cycle { address: to.to_string(), way }),
        None => Ok(Arc::new(Link { asker: work.address.clone(), before: work.cause.clone() })),
    });
    match link {
        Ok(link) => item.asked_by = Some(link?),
        // No handler asks: nobody waits for whoever does.
        Err(_) => item.asked_by = None,
    }
    Ok(())
}
