//! A worker: its skills, and how it comes back when it is cut off.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use mesh_proto::v1::{self, skill_service_client::SkillServiceClient};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    Call, Failure, Skill,
    call::{Handler, Outcome},
    connection::{Desk, Ended, connected},
};

/// The waits between attempts to dial.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);
/// How often the node is asked whether it is still there, when the connection is idle.
const ALIVE_EVERY: Duration = Duration::from_secs(20);

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address or the key cannot be used at all.
    #[error("{0}")]
    Settings(String),
    /// The node says no, and would say no again.
    #[error("the node refuses: {} ({:?})", .0.message(), .0.code())]
    Refused(Box<Status>),
}

/// A process that does the calls of its skills.
pub struct Worker {
    url: String,
    key: String,
    id: String,
    concurrency: u32,
    skills: Vec<Skill>,
    handlers: HashMap<String, Handler>,
}

impl Worker {
    /// A worker for the node at this address (`http://…`), with an API key that has the role developer.
    pub fn new(url: &str, key: &str) -> Self {
        Self {
            url: url.to_owned(),
            key: key.to_owned(),
            id: format!("worker-{}", uuid::Uuid::now_v7().simple()),
            concurrency: 16,
            skills: Vec::new(),
            handlers: HashMap::new(),
        }
    }

    /// Its name for people, the same as long as the process lives; one by chance without it.
    #[must_use]
    pub fn named(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// How many calls it takes at once; 16 without it.
    #[must_use]
    pub fn concurrency(mut self, calls: u32) -> Self {
        self.concurrency = calls;
        self
    }

    /// A skill, and what does its calls.
    #[must_use]
    pub fn skill<F, Done>(mut self, skill: Skill, handler: F) -> Self
    where
        F: Fn(Call) -> Done + Send + Sync + 'static,
        Done: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        self.handlers.insert(skill.0.name.clone(), Arc::new(move |call| Box::pin(handler(call)) as Outcome));
        self.skills.push(skill);
        self
    }

    /// Registers its skills, and does their calls until `stop` is ready and all that it had is done.
    ///
    /// # Errors
    /// When the node refuses it for good: a wrong key, a manifest that cannot be taken, a version that was
    /// registered with another one. A node that cannot be reached is dialled again.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let stopping = CancellationToken::new();
        let mut work = std::pin::pin!(self.work(stopping.clone()));
        tokio::select! {
            worked = work.as_mut() => return worked,
            () = stop => stopping.cancel(),
        }
        work.await
    }

    async fn work(self, stopping: CancellationToken) -> Result<(), Error> {
        let endpoint = Endpoint::new(self.url.clone())
            .map_err(|error| Error::Settings(format!("`{}` is no address: {error}", self.url)))?
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_while_idle(true);
        let key: MetadataValue<Ascii> = format!("Bearer {}", self.key)
            .parse()
            .map_err(|_| Error::Settings("the API key holds what a header cannot".to_owned()))?;
        let hello = v1::WorkerHello {
            worker_id: self.id.clone(),
            sdk: concat!("mesh-worker/", env!("CARGO_PKG_VERSION")).to_owned(),
            skills: self.skills.iter().map(|Skill(skill)| version(skill)).collect(),
            concurrency: self.concurrency,
            held_call_ids: Vec::new(),
        };
        let mut desk = Desk::new(hello, self.handlers);
        let (mut is_registered, mut delay) = (false, AGAIN_AFTER);
        loop {
            let ended = match endpoint.connect().await {
                Err(error) => Ended::Lost(error.to_string()),
                Ok(channel) => match is_registered {
                    true => connected(&mut desk, channel, &key, &stopping).await,
                    false => match register(&self.skills, channel.clone(), &key).await {
                        Ok(()) => {
                            is_registered = true;
                            connected(&mut desk, channel, &key, &stopping).await
                        }
                        Err(status) => Ended::of(status),
                    },
                },
            };
            match ended {
                Ended::Done => return Ok(()),
                Ended::Refused(status) => return Err(Error::Refused(status)),
                Ended::Cut => delay = AGAIN_AFTER,
                Ended::Lost(why) => tracing::warn!(%why, ?delay, "the node cannot be reached: dialled again"),
            }
            tokio::select! {
                () = stopping.cancelled(), if desk.is_idle() => return Ok(()),
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(AGAIN_AFTER_MAX);
        }
    }
}

fn version(skill: &v1::Skill) -> v1::SkillVersion {
    v1::SkillVersion { name: skill.name.clone(), version: skill.version.clone() }
}

async fn register(skills: &[Skill], channel: Channel, key: &MetadataValue<Ascii>) -> Result<(), Status> {
    let skills = skills.iter().map(|Skill(skill)| skill.clone()).collect();
    let mut request = Request::new(v1::RegisterSkillsRequest { skills, ..Default::default() });
    request.metadata_mut().insert("authorization", key.clone());
    SkillServiceClient::new(channel).register_skills(request).await.map(drop)
}
