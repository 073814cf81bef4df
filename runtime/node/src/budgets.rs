//! The way from a model call to the budgets of its tenant.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use mesh_agents::budget::{self, Command, Defaults, PAUSES, STOPS};
use mesh_kernel::{
    BoxFuture,
    entity::encode_tagged,
    envelope::{Address, ErrorKind, Refusal},
    path::{self, Caller, Mesh},
    ports::EffectCall,
};
use mesh_skills::models::{Amount, ModelCall, Purse, Withheld};

/// What the policy is asked before it is looked whether a tenant has budgets.
const ACTION: &str = "ListBudgets";

/// How often it is tried to say what a call took. When all is in vain, what was reserved keeps counting.
const TELLS: u32 = 5;
const TELL_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Budgets as entities keep them.
pub struct Budgets {
    mesh: OnceLock<Mesh>,
    defaults: Defaults,
}

impl Budgets {
    /// Budgets of which these hold where a tenant has set nothing.
    pub fn new(defaults: Defaults) -> Arc<Self> {
        Arc::new(Self { mesh: OnceLock::new(), defaults })
    }

    /// Says where they are kept. Once, when the kernel stands.
    pub fn connect(&self, mesh: Mesh) {
        if self.mesh.set(mesh).is_err() {
            tracing::error!("the budgets were connected twice; the first kernel stays");
        }
    }

    /// The budgets that a call counts for; none when its tenant has none and the node sets none.
    async fn of(&self, effect: &EffectCall) -> Result<Option<Kept<'_>>, Refusal> {
        let starting = || Refusal::new("BDG-0010", ErrorKind::Unavailable, "the node is starting: try again");
        let mesh = self.mesh.get().ok_or_else(starting)?;
        let internal = |error: String| Refusal::new("BDG-0011", ErrorKind::Internal, error);
        let address = budget::address(effect.scope.tenant()).map_err(|error| internal(error.to_string()))?;
        let caller = mesh.on_behalf("budgets", &effect.scope, &effect.cause);
        if !self.defaults.are_bound() && mesh.version(&caller, &address, ACTION).await? == 0 {
            return Ok(None);
        }
        Ok(Some(Kept { mesh, caller, address }))
    }

    async fn settled(&self, effect: &EffectCall, took: Option<Amount>) -> Result<(), Refusal> {
        let Some(kept) = self.of(effect).await? else { return Ok(()) };
        kept.send(effect, &Command::SettleBudget { key: effect.request.key.to_string(), took }).await
    }
}

fn named(id: &str) -> Option<String> {
    Some(id.to_owned()).filter(|id| !id.is_empty())
}

struct Kept<'a> {
    mesh: &'a Mesh,
    caller: Caller,
    address: Address,
}

impl Kept<'_> {
    /// Sends a command of the same trace and activity as the call.
    async fn send(&self, effect: &EffectCall, command: &Command) -> Result<(), Refusal> {
        let payload = encode_tagged(command, 1)
            .map_err(|error| Refusal::new("BDG-0011", ErrorKind::Internal, error.to_string()))?;
        let command = path::Command {
            correlation: Some(effect.cause.correlation_id.clone()),
            trace: Some(effect.cause.trace_id.clone()),
            causation: Some(effect.cause.event_id.clone()),
            project: effect.cause.project_id.clone(),
            what: None,
            ..path::Command::new(self.address.clone(), payload)
        };
        self.mesh.send(&self.caller, command).await.map(drop)
    }
}

impl Purse for Budgets {
    fn reserve<'a>(
        &'a self,
        effect: &'a EffectCall,
        call: &'a ModelCall,
        most: Amount,
    ) -> BoxFuture<'a, Result<(), Withheld>> {
        Box::pin(async move {
            let unknown = |refusal: Refusal| Withheld::Unknown(format!("the budgets do not answer: {refusal}"));
            let Some(kept) = self.of(effect).await.map_err(unknown)? else { return Ok(()) };
            let reserve = Command::ReserveBudget {
                key: effect.request.key.to_string(),
                project: named(&call.project),
                run: named(&call.run),
                most,
            };
            kept.send(effect, &reserve).await.map_err(|refusal| match refusal.code.as_ref() {
                PAUSES => Withheld::Spent { message: refusal.message, stops: false },
                STOPS => Withheld::Spent { message: refusal.message, stops: true },
                _ => unknown(refusal),
            })
        })
    }

    fn settle<'a>(&'a self, effect: &'a EffectCall, took: Option<Amount>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for told in 1..=TELLS {
                match self.settled(effect, took).await {
                    Ok(()) => return,
                    Err(refusal) if told == TELLS => {
                        tracing::warn!(%refusal, "what a call took is not known to its budgets: what was reserved counts");
                    }
                    Err(_) => tokio::time::sleep(TELL_AGAIN_AFTER).await,
                }
            }
        })
    }
}
