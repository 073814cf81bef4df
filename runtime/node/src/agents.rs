//! Every agent that a tenant has published, read where they stand and kept ready.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

use mesh_agents::{
    budget::Defaults,
    catalogue::{self, Agents, Versions},
    context::{Context, ContextRequest, Sources, Tool},
    definition::{self, Agent, Binding, Helper},
};
use mesh_kernel::{
    BoxFuture,
    envelope::{ErrorKind, Refusal, TenantId},
    path::{Caller, Mesh},
    ports::EffectCall,
};
use mesh_skills::{
    contract::{Failure, Registered},
    models::Price,
    yaml::suggest,
};
use parking_lot::Mutex;

use crate::catalogue::Catalogue;

/// Tenants whose agents are kept ready; all are forgotten when there are more.
const KEPT_MAX: usize = 256;

/// The agents that every tenant has, unless it publishes one of the same name.
const SHIPPED: &[&str] =
    &[include_str!("../../../config/agents/planner.yaml"), include_str!("../../../config/agents/rule-author.yaml")];

/// What the policy is asked.
const ACTION: &str = "GetAgent";

/// Every agent of every tenant.
pub struct AgentCatalogue {
    skills: Arc<Catalogue>,
    /// By name.
    shipped: BTreeMap<String, Arc<Agent>>,
    /// What may be spent where a tenant has set nothing.
    budgets: Defaults,
    /// The dearest prices of a class of models.
    prices: Box<dyn Fn(&str) -> Price + Send + Sync>,
    mesh: OnceLock<Mesh>,
    /// By tenant: the version of its entity, and what was read there.
    kept: Mutex<HashMap<TenantId, (u64, Arc<Agents>)>>,
}

impl AgentCatalogue {
    /// A catalogue of agents that call these skills.
    pub fn new(
        skills: Arc<Catalogue>,
        budgets: Defaults,
        prices: impl Fn(&str) -> Price + Send + Sync + 'static,
    ) -> Self {
        let (shipped, prices) = (shipped(), Box::new(prices));
        Self { skills, shipped, budgets, prices, mesh: OnceLock::new(), kept: Mutex::default() }
    }

    /// The agents that come with the node, by name.
    pub fn shipped(&self) -> &BTreeMap<String, Arc<Agent>> {
        &self.shipped
    }

    /// What may be spent where a tenant has set nothing.
    pub fn budgets(&self) -> &Defaults {
        &self.budgets
    }

    /// Every agent that the caller's tenant may give tasks, and how many versions of it were published.
    ///
    /// # Errors
    /// As [`AgentCatalogue::of`].
    pub async fn versions(&self, caller: &Caller) -> Result<BTreeMap<String, u32>, Refusal> {
        let own = self.of(caller).await?;
        let count = |versions: &Versions| u32::try_from(versions.versions.len()).unwrap_or(u32::MAX);
        let shipped = self.shipped.keys().map(|name| (name.clone(), 0));
        Ok(shipped.chain(own.agents.iter().map(|(name, versions)| (name.clone(), count(versions)))).collect())
    }

    /// Says where tenants' agents are read. Once, when the kernel stands.
    pub fn connect(&self, mesh: Mesh) {
        if self.mesh.set(mesh).is_err() {
            tracing::error!("the catalogue of agents was connected twice; the first kernel stays");
        }
    }

    /// The agents of the caller's tenant.
    ///
    /// # Errors
    /// Over the quota, and when the policy denies it; `Unavailable` while the node starts.
    pub async fn of(&self, caller: &Caller) -> Result<Arc<Agents>, Refusal> {
        let internal = |error: String| Refusal::new("AGT-0011", ErrorKind::Internal, error);
        let starting = || Refusal::new("AGT-0010", ErrorKind::Unavailable, "the node is starting: try again");
        let mesh = self.mesh.get().ok_or_else(starting)?;
        let tenant = caller.tenant();
        let address = catalogue::address(tenant).map_err(|error| internal(error.to_string()))?;
        let stands = mesh.version(caller, &address, ACTION).await?;
        if stands == 0 {
            self.kept.lock().remove(tenant);
            return Ok(Arc::default());
        }
        if let Some((stood, agents)) = self.kept.lock().get(tenant)
            && *stood == stands
        {
            return Ok(agents.clone());
        }
        let viewed = mesh.query(caller, &address, ACTION, "").await?;
        let agents: Agents =
            serde_json::from_value(viewed.view).map_err(|error| internal(format!("the agents: {error}")))?;
        let agents = Arc::new(agents);
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(tenant.clone(), (viewed.version, agents.clone()));
        Ok(agents)
    }

    /// A version of an agent, the active one for 0, with its number. A shipped agent's is 0.
    ///
    /// # Errors
    /// As [`AgentCatalogue::of`]; `NotFound` with the nearest name when there is no such agent.
    pub async fn find(&self, caller: &Caller, name: &str, version: u32) -> Result<(u32, Arc<Agent>), Refusal> {
        let agents = self.of(caller).await?;
        let no = |message: String| Refusal::new("AGT-0012", ErrorKind::NotFound, message);
        if let Some(shipped) = self.shipped.get(name).filter(|_| version == 0 && !agents.agents.contains_key(name)) {
            return Ok((0, shipped.clone()));
        }
        let versions = agents.agents.get(name).ok_or_else(|| {
            let help = suggest(name, agents.agents.keys().chain(self.shipped.keys())).map_or_else(
                || "`mesh agents list` shows the published ones".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            let shown: String = name.chars().take(80).collect();
            no(format!("there is no agent `{shown}`: {help}"))
        })?;
        let found = versions.get(version).map(|(number, found)| (number, found.agent.clone()));
        found.ok_or_else(|| {
            no(format!("agent `{name}` has no version {version}: it has 1 to {}", versions.versions.len()))
        })
    }

    /// The skills that an agent calls, in the order of its definition; those that check it are there too.
    ///
    /// # Errors
    /// As [`Catalogue::find`]; `NotFound` when a skill's version is not within the agent's range.
    pub async fn bound(&self, caller: &Caller, agent: &Agent) -> Result<Vec<Arc<Registered>>, Refusal> {
        for check in &agent.checks {
            self.skills.find(caller, &check.skill).await?;
        }
        let mut bound = Vec::with_capacity(agent.skills.len());
        for Binding { skill, version } in &agent.skills {
            bound.push(match version {
                Some(range) => self.skills.find_within(caller, skill, range).await?,
                None => self.skills.find(caller, skill).await?,
            });
        }
        Ok(bound)
    }

    /// The agents that an agent may give a part of its task, with the versions that they have now.
    ///
    /// # Errors
    /// As [`AgentCatalogue::find`].
    pub async fn helpers(&self, caller: &Caller, agent: &Agent) -> Result<Vec<(u32, Arc<Agent>)>, Refusal> {
        let mut helpers = Vec::with_capacity(agent.agents.len());
        for Helper { agent, version } in &agent.agents {
            helpers.push(self.find(caller, agent, version.unwrap_or_default()).await?);
        }
        Ok(helpers)
    }

    async fn context(&self, caller: &Caller, request: &ContextRequest) -> Result<Context, Refusal> {
        let (version, agent) = self.find(caller, &request.agent, request.version).await?;
        let tools = self.bound(caller, &agent).await?;
        let helpers = self.helpers(caller, &agent).await?;
        let helpers = helpers.iter().map(|(version, helper)| Arc::new(Tool::of_agent(*version, helper)));
        let tools = tools.iter().map(|skill| Arc::new(Tool::of(skill.manifest()))).chain(helpers).collect();
        let prices = Some((self.prices)(&agent.model.class)).filter(|prices| *prices != Price::default());
        Ok(Context { version, digest: agent.digest(), agent, tools, prices })
    }
}

fn shipped() -> BTreeMap<String, Arc<Agent>> {
    let read = SHIPPED.iter().filter_map(|source| match definition::parse(source, None) {
        Ok(agent) => Some((agent.name.clone(), Arc::new(agent))),
        Err(mistakes) => {
            tracing::error!(?mistakes, "a shipped agent cannot be read");
            None
        }
    });
    read.collect()
}

impl Sources for AgentCatalogue {
    fn load<'a>(
        &'a self,
        effect: &'a EffectCall,
        request: &'a ContextRequest,
    ) -> BoxFuture<'a, Result<Context, Failure>> {
        Box::pin(async move {
            let Some(mesh) = self.mesh.get() else {
                return Err(Failure::internal("agent.catalogue", "the node is starting"));
            };
            let node = mesh.on_behalf("agents", &effect.scope, &effect.cause);
            self.context(&node, request).await.map_err(|refusal| match refusal.kind {
                ErrorKind::NotFound => Failure::validation("agent.unknown", refusal.message),
                // A skill was withdrawn since the agent was published.
                ErrorKind::FailedPrecondition => Failure::validation("skill.withdrawn", refusal.message),
                _ => Failure::internal("agent.catalogue", refusal.to_string()),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_agent_can_be_read() {
        assert_eq!(shipped().len(), SHIPPED.len());
        assert!(["planner", "rule-author"].iter().all(|name| shipped().contains_key(*name)));
    }
}
