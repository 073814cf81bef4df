//! Every skill that a tenant may call: the node's own, and those that the tenant has registered.
//!
//! The tenant's own stand in an entity of its own. They are read when it has moved, and kept ready with their
//! schemas compiled.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

use mesh_kernel::{
    BoxFuture,
    envelope::{ErrorKind, Refusal, TenantId},
    path::{Caller, Mesh},
    ports::EffectCall,
};
use mesh_skills::{
    catalogue::{self, Entry, Skills, current, latest, within},
    contract::{Failure, Manifest, Registered, Registry, Skill, unknown},
    hosts::{
        instructions::InstructionsSkill,
        mcp::{McpServers, McpSkill},
        worker::{WorkerSkill, Workers},
    },
    perform::RegisteredSkills,
    pools::Pools,
};
use parking_lot::Mutex;
use semver::{Version, VersionReq};

/// Tenants whose skills are kept ready; all are forgotten when there are more.
const KEPT_MAX: usize = 256;

/// What the policy is asked.
const ACTION: &str = "GetSkill";

/// The skills of one tenant that are not the node's own.
#[derive(Default)]
pub struct TenantSkills {
    /// All versions of all, as they were registered.
    pub skills: Skills,
    ready: BTreeMap<String, Arc<Registered>>,
    /// Other versions that somebody keeps to, by name and version; made ready when they are called first.
    older: Mutex<HashMap<(String, String), Arc<Registered>>>,
}

impl TenantSkills {
    /// What a new call of this name uses.
    pub fn get(&self, name: &str) -> Option<&Arc<Registered>> {
        self.ready.get(name)
    }

    /// The version of this name that is told of: what a new call uses, or would use if not all were withdrawn.
    pub fn latest(&self, name: &str) -> Option<&Entry> {
        latest(self.skills.skills.get(name)?)
    }

    /// What is told of each name, as [`TenantSkills::latest`], sorted by name.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.skills.skills.values().filter_map(|versions| latest(versions))
    }

    /// The version that a new call of each name uses, sorted by name.
    pub fn current(&self) -> impl Iterator<Item = &Entry> {
        self.skills.skills.values().filter_map(|versions| current(versions))
    }

    /// Whether this version of a skill is registered.
    pub fn has(&self, name: &str, version: &str) -> bool {
        let versions = self.skills.skills.get(name);
        versions.is_some_and(|versions| versions.iter().any(|entry| entry.manifest.version == version))
    }
}

/// By tenant: the version of its entity, and what was read there.
type Kept = HashMap<TenantId, (u64, Arc<TenantSkills>)>;

/// Every skill of every tenant.
pub struct Catalogue {
    native: Registry,
    workers: Workers,
    servers: McpServers,
    pools: Pools,
    mesh: OnceLock<Mesh>,
    kept: Mutex<Kept>,
}

impl Catalogue {
    /// A catalogue of the node's own skills, and of what workers and MCP servers have.
    pub fn new(native: Registry, workers: Workers, servers: McpServers, pools: Pools) -> Self {
        Self { native, workers, servers, pools, mesh: OnceLock::new(), kept: Mutex::default() }
    }

    /// Says where tenants' skills are read. Once, when the kernel stands.
    pub fn connect(&self, mesh: Mesh) {
        if self.mesh.set(mesh).is_err() {
            tracing::error!("the catalogue of skills was connected twice; the first kernel stays");
        }
    }

    /// The node's own.
    pub fn native(&self) -> &Registry {
        &self.native
    }

    /// The workers that are connected.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// The rates and breakers of calls.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The MCP servers that are connected.
    pub fn servers(&self) -> &McpServers {
        &self.servers
    }

    /// The skills of the caller's tenant that are not the node's own.
    ///
    /// # Errors
    /// Over the quota, and when the policy denies it; `Unavailable` while the node starts.
    pub async fn of(&self, caller: &Caller) -> Result<Arc<TenantSkills>, Refusal> {
        let mesh = self
            .mesh
            .get()
            .ok_or_else(|| Refusal::new("SKL-0010", ErrorKind::Unavailable, "the node is starting: try again"))?;
        let tenant = caller.tenant();
        let address = catalogue::address(tenant)
            .map_err(|error| Refusal::new("SKL-0011", ErrorKind::Internal, error.to_string()))?;
        let stands = mesh.version(caller, &address, ACTION).await?;
        if stands == 0 {
            self.kept.lock().remove(tenant);
            return Ok(Arc::default());
        }
        if let Some((stood, skills)) = self.kept.lock().get(tenant)
            && *stood == stands
        {
            return Ok(skills.clone());
        }
        let viewed = mesh.query(caller, &address, ACTION, "").await?;
        let skills: Skills = serde_json::from_value(viewed.view)
            .map_err(|error| Refusal::new("SKL-0011", ErrorKind::Internal, format!("the skills: {error}")))?;
        let skills = Arc::new(self.made_ready(skills));
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(tenant.clone(), (viewed.version, skills.clone()));
        Ok(skills)
    }

    fn made_ready(&self, skills: Skills) -> TenantSkills {
        let current = skills.skills.values().filter_map(|versions| current(versions));
        let ready = current.filter_map(|entry| Some((entry.manifest.name.clone(), self.ready(entry)?))).collect();
        TenantSkills { skills, ready, older: Mutex::default() }
    }

    /// A version as it is called, with its schemas compiled.
    fn ready(&self, entry: &Entry) -> Option<Arc<Registered>> {
        let manifest = entry.manifest.clone();
        let tool = McpSkill::new(manifest.clone(), self.servers.clone());
        let skill: Arc<dyn Skill> = match (&manifest.instructions, tool) {
            (Some(_), _) => Arc::new(InstructionsSkill::new(manifest)),
            (None, Some(tool)) => Arc::new(tool),
            (None, None) => Arc::new(WorkerSkill::new(manifest, self.workers.clone())),
        };
        Registered::new(skill)
            .inspect_err(|error| tracing::error!(%error, "a skill that was registered cannot be called"))
            .map(Arc::new)
            .ok()
    }

    /// The manifests of all that the caller's tenant may call, by name.
    ///
    /// # Errors
    /// As [`Catalogue::of`].
    pub async fn manifests(&self, caller: &Caller) -> Result<BTreeMap<String, Arc<Manifest>>, Refusal> {
        let own = self.of(caller).await?;
        let own = own.current().map(|entry| entry.manifest.clone()).collect::<Vec<_>>();
        let native = self.native.manifests().map(|manifest| Arc::new(manifest.clone()));
        Ok(own.into_iter().chain(native).map(|manifest| (manifest.name.clone(), manifest)).collect())
    }

    /// What a new call of this name uses: the node's own first.
    ///
    /// # Errors
    /// As [`Catalogue::of`]; `NotFound` with the nearest name when there is no such skill, `FailedPrecondition`
    /// with the reason when it is withdrawn.
    pub async fn find(&self, caller: &Caller, name: &str) -> Result<Arc<Registered>, Refusal> {
        if let Some(native) = self.native.get(name) {
            return Ok(native.clone());
        }
        let own = self.of(caller).await?;
        own.get(name).cloned().ok_or_else(|| {
            if let Some(versions) = own.skills.skills.get(name) {
                return withdrawn(name, versions);
            }
            let names = self.native.names().chain(own.ready.keys().map(String::as_str));
            Refusal::new("SKL-0012", ErrorKind::NotFound, unknown(name, names).message)
        })
    }

    /// What a new call of this name uses that keeps to a range of versions.
    ///
    /// # Errors
    /// As [`Catalogue::find`]; `NotFound` when there is no version within the range.
    pub async fn find_within(&self, caller: &Caller, name: &str, range: &str) -> Result<Arc<Registered>, Refusal> {
        let found = self.find(caller, name).await?;
        let stands = found.manifest().version.clone();
        let no = || {
            let message = format!("`{name}` is at {stands}, and no version of it is within `{range}`");
            Refusal::new("SKL-0015", ErrorKind::NotFound, message)
        };
        let range = VersionReq::parse(range).map_err(|_| no())?;
        if Version::parse(&stands).is_ok_and(|version| range.matches(&version)) {
            return Ok(found);
        }
        let own = self.of(caller).await?;
        let versions = own.skills.skills.get(name).filter(|_| self.native.get(name).is_none()).ok_or_else(no)?;
        self.older(&own, within(versions, &range).ok_or_else(no)?).ok_or_else(no)
    }

    /// This version of a skill. The node's own has one version, which is the one.
    ///
    /// # Errors
    /// As [`Catalogue::find`].
    pub async fn find_version(&self, caller: &Caller, name: &str, version: &str) -> Result<Arc<Registered>, Refusal> {
        if let Some(native) = self.native.get(name) {
            return Ok(native.clone());
        }
        let own = self.of(caller).await?;
        if let Some(found) = own.get(name).filter(|found| found.manifest().version == version) {
            return Ok(found.clone());
        }
        let versions = own.skills.skills.get(name).map(Vec::as_slice).unwrap_or_default();
        let entry = versions.iter().find(|entry| entry.manifest.version == version);
        let no = || Refusal::new("SKL-0015", ErrorKind::NotFound, format!("`{name}` has no version {version}"));
        match entry {
            None => Err(no()),
            Some(entry) if entry.withdrawn.is_some() => Err(withdrawn(name, std::slice::from_ref(entry))),
            Some(entry) => self.older(&own, entry).ok_or_else(no),
        }
    }

    fn older(&self, own: &TenantSkills, entry: &Entry) -> Option<Arc<Registered>> {
        let key = (entry.manifest.name.clone(), entry.manifest.version.clone());
        if let Some(found) = own.older.lock().get(&key) {
            return Some(found.clone());
        }
        let ready = self.ready(entry)?;
        own.older.lock().insert(key, ready.clone());
        Some(ready)
    }
}

/// Why nobody calls a skill of which all versions are withdrawn, in the words about the newest of them.
fn withdrawn(name: &str, versions: &[Entry]) -> Refusal {
    let reason = |entry: &Entry| Some(format!("{}: {}", entry.manifest.version, entry.withdrawn.as_ref()?));
    let reasons: Vec<String> = versions.iter().rev().filter_map(reason).take(3).collect();
    let message = format!("`{name}` is withdrawn ({})", reasons.join("; "));
    Refusal::new("SKL-0014", ErrorKind::FailedPrecondition, message)
}

impl RegisteredSkills for Catalogue {
    fn find<'a>(
        &'a self,
        effect: &'a EffectCall,
        name: &'a str,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Arc<Registered>, Failure>> {
        Box::pin(async move {
            let Some(mesh) = self.mesh.get() else {
                return Err(Failure::internal("skill.catalogue", "the node is starting"));
            };
            let node = mesh.on_behalf("skills", &effect.scope, &effect.cause);
            let found = match version {
                Some(version) => self.find_version(&node, name, version).await,
                None => self.find(&node, name).await,
            };
            found.map_err(|refusal| match refusal.kind {
                ErrorKind::NotFound => Failure::validation("skill.unknown", refusal.message),
                ErrorKind::FailedPrecondition => Failure::validation("skill.withdrawn", refusal.message),
                _ => Failure::internal("skill.catalogue", refusal.to_string()),
            })
        })
    }
}
