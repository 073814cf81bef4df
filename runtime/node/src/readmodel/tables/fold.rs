//! The runs of one batch: each is read once, moved in memory, and written once.
//!
//! A run of ten steps has some twenty-five events, and most of them lie close together.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use mesh_kernel::{
    envelope::{TenantId, Timestamp},
    follow::Seen,
    ports::Digest,
};
use mesh_proto::v1::RunState;
use mesh_workflows::run::SubmitRun;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction};
use serde::{Deserialize, Serialize};

use crate::{gateway::lists::FailureRow, readmodel::query::state};

/// The phase of a step, as far as counts tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Not begun, or to begin anew: it is not remembered.
    Pending,
    /// Begun and not ended.
    Running,
    /// Waits for something outside.
    Waiting,
    /// Ended well, skipped or compensated.
    Done,
    /// Ended with a failure.
    Failed,
}

/// How many steps are in which phase.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    running: usize,
    waiting: usize,
    done: usize,
    failed: usize,
}

/// A run on its way to its row: what events move of it.
#[derive(Debug)]
pub(super) struct Moving {
    /// The rest of the row, when it is a new one.
    new: Option<New>,
    pub(super) state: RunState,
    started: Option<i64>,
    ended: Option<i64>,
    failure: Option<FailureRow>,
    /// The steps that stand somewhere else than at their beginning.
    phases: BTreeMap<String, Phase>,
    counts: Counts,
    version: u64,
}

/// What a row says of how its run was submitted.
#[derive(Debug)]
struct New {
    definition: String,
    number: u32,
    digest: String,
    project: Option<String>,
    created: i64,
    trace: String,
    submitted_by: String,
    parent: Option<(String, String)>,
    total: usize,
}

impl Moving {
    fn submitted(seen: &Seen, submit: &SubmitRun, total: usize) -> Self {
        let parent = submit.parent.as_ref();
        let new = New {
            definition: submit.definition.name.to_string(),
            number: submit.definition.version,
            digest: submit.definition.digest.to_string(),
            project: submit.project.as_ref().map(ToString::to_string),
            created: seen.envelope.occurred_at.unix_nanos(),
            trace: seen.envelope.trace_id.as_str().to_owned(),
            submitted_by: submit.submitted_by.as_deref().unwrap_or_default().to_owned(),
            parent: parent.map(|parent| (parent.run.id().to_owned(), parent.step.to_string())),
            total,
        };
        Self {
            new: Some(new),
            state: RunState::Created,
            started: None,
            ended: None,
            failure: None,
            phases: BTreeMap::new(),
            counts: Counts::default(),
            version: seen.version,
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let failure = match row.get::<_, Option<String>>("failed_text")? {
            None => None,
            Some(message) => Some(FailureRow {
                step_id: row.get("failed_step")?,
                class: row.get("failed_class")?,
                code: row.get("failed_code")?,
                message,
            }),
        };
        Ok(Self {
            new: None,
            state: state(row, "state")?,
            started: row.get("started")?,
            ended: row.get("ended")?,
            failure,
            phases: serde_json::from_str(&row.get::<_, String>("phases")?).unwrap_or_default(),
            counts: Counts {
                running: row.get("running")?,
                waiting: row.get("waiting")?,
                done: row.get("done")?,
                failed: row.get("failed")?,
            },
            version: row.get("version")?,
        })
    }

    pub(super) fn started(&mut self, at: Timestamp) {
        self.started.get_or_insert(at.unix_nanos());
        self.state = RunState::Running;
    }

    /// A run that was paused before its first step is as if only submitted.
    pub(super) fn resumed(&mut self) {
        self.state = if self.started.is_some() { RunState::Running } else { RunState::Created };
    }

    /// Moves a step to a phase.
    pub(super) fn step(&mut self, step: &str, to: Phase) {
        match to {
            Phase::Pending => drop(self.phases.remove(step)),
            _ => drop(self.phases.insert(step.to_owned(), to)),
        }
        let count = |of: Phase| self.phases.values().filter(|phase| **phase == of).count();
        self.counts = Counts {
            running: count(Phase::Running),
            waiting: count(Phase::Waiting),
            done: count(Phase::Done),
            failed: count(Phase::Failed),
        };
    }

    /// What was under way when the run ended was cut short: nothing of it runs or waits any more. Of a
    /// run that can be retried the steps that have ended are remembered.
    pub(super) fn ended(&mut self, state: RunState, at: Timestamp, failure: Option<FailureRow>) {
        (self.state, self.ended, self.failure) = (state, Some(at.unix_nanos()), failure);
        self.counts = Counts { running: 0, waiting: 0, ..self.counts };
        let may_be_retried = state == RunState::Failed;
        self.phases.retain(|_, phase| may_be_retried && matches!(phase, Phase::Done | Phase::Failed));
    }

    pub(super) fn retried(&mut self) {
        (self.state, self.ended, self.failure) = (RunState::Running, None, None);
    }
}

/// The runs of one batch, by tenant and id; none for a run that has no row.
#[derive(Debug, Default)]
pub(super) struct Runs {
    moving: HashMap<(TenantId, String), Option<Moving>>,
    /// The number of steps of each definition that began a run in this batch.
    totals: HashMap<Digest, usize>,
}

impl Runs {
    /// A run begins.
    pub(super) fn submitted(&mut self, seen: &Seen, submit: &SubmitRun) {
        let total = self.totals.entry(submit.definition.digest).or_insert_with(|| submit.workflow.steps_len());
        self.moving.insert(key(seen), Some(Moving::submitted(seen, submit, *total)));
    }

    /// The run of this event, which is its newest; none when there is no such run.
    pub(super) fn of(&mut self, tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<Option<&mut Moving>> {
        let moving = match self.moving.entry(key(seen)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let found = tx
                    .prepare_cached(
                        "SELECT state, started, ended, failed_step, failed_class, failed_code, failed_text, phases,
                            running, waiting, done, failed, version
                         FROM runs WHERE tenant = ?1 AND id = ?2",
                    )?
                    .query_row((vacant.key().0.as_str(), &vacant.key().1), Moving::read)
                    .optional()?;
                vacant.insert(found)
            }
        };
        if let Some(moving) = moving {
            moving.version = seen.version;
        }
        Ok(moving.as_mut())
    }

    /// Writes all rows.
    pub(super) fn write(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        self.moving.drain().try_for_each(|((tenant, id), moving)| match moving {
            Some(moving) => write(tx, tenant.as_str(), &id, &moving),
            None => Ok(()),
        })
    }
}

fn key(seen: &Seen) -> (TenantId, String) {
    let subject = &seen.envelope.headers.subject;
    (subject.tenant().clone(), subject.id().to_owned())
}

const UPDATE: &str = "UPDATE runs SET state = ?3, started = ?4, ended = ?5, failed_step = ?6, failed_class = ?7,
    failed_code = ?8, failed_text = ?9, phases = ?10, running = ?11, waiting = ?12, done = ?13, failed = ?14,
    version = ?15
 WHERE tenant = ?1 AND id = ?2";

const INSERT: &str = "INSERT OR REPLACE INTO runs (tenant, id, state, started, ended, failed_step, failed_class,
    failed_code, failed_text, phases, running, waiting, done, failed, version,
    definition, number, digest, project, created, trace, submitted_by, parent_run, parent_step, total)
 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
    ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)";

fn write(tx: &Transaction<'_>, tenant: &str, id: &str, moving: &Moving) -> rusqlite::Result<()> {
    let Moving { new, state, started, ended, failure, phases, counts, version } = moving;
    let failed = |text: fn(&FailureRow) -> &String| failure.as_ref().map(text);
    let (step, class) = (failed(|failure| &failure.step_id), failed(|failure| &failure.class));
    let (code, message) = (failed(|failure| &failure.code), failed(|failure| &failure.message));
    let (state, phases) = (*state as i32, serde_json::to_string(phases).unwrap_or_default());
    let Counts { running, waiting, done, failed } = counts;
    let mut values: Vec<&dyn ToSql> = vec![
        &tenant, &id, &state, started, ended, &step, &class, &code, &message, &phases, running, waiting, done, failed,
        version,
    ];
    let Some(New { definition, number, digest, project, created, trace, submitted_by, parent, total }) = new else {
        return tx.prepare_cached(UPDATE)?.execute(values.as_slice()).map(drop);
    };
    let parent = parent.as_ref().map(|(run, step)| (run, step)).unzip();
    values.extend([definition as &dyn ToSql, number, digest, project, created, trace, submitted_by]);
    values.extend([&parent.0 as &dyn ToSql, &parent.1, total]);
    tx.prepare_cached(INSERT)?.execute(values.as_slice()).map(drop)
}
