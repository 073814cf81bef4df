//! Which event makes which nodes and edges: the whole of it, to be read in a sitting.
//!
//! Events are read by their type's name and their JSON, and not by the types of the crates that announce them: this
//! crate stands below those, old events of a type that has changed since still tell what they told, and one table says
//! more than a piece in each room. What an event does not have is left out.
//!
//! Names: `<kind>/<id>`, steps and calls below their run. What a node gave is called `result/<its name>`.

use mesh_kernel::envelope::Envelope;
use serde_json::Value;

use super::{
    fact::Fact,
    kinds::{
        EdgeKind::{
            BuiltAs, Caused, CommittedAs, DecidedBy, DependsOn, DeployedAs, DerivedFrom, GroundedOn, ObservedOn,
            PartOf, ProducedBy, Used, ValidatedBy,
        },
        NodeKind::{
            Agent, AgentTask, Approval, Artifact, Blueprint, Build, Chunk, Commit, ContextPackage, Deployment,
            Document, Event, Model, ModelInvocation, Policy, Principal, Project, Prompt, Run, RuntimeSignal, Skill,
            Step, ToolInvocation, Workflow,
        },
        Toward::{Newer, Older},
    },
    names::Spent,
};

/// Longest label. **Units**: characters.
const LABEL_MAX: usize = 120;
/// Most steps or items of one event that get a node.
const ROW_MAX: usize = 4_096;

/// Of an event: what it tells.
type Tells = fn(&Told<'_>) -> Vec<Fact>;

/// The types that are looked at, and what each tells.
const TABLE: &[(&str, Tells)] = &[
    // Intent.
    ("BlueprintApplied", |e| vec![e.by(blueprint(e, "digest").labelled(e.titled("name", "version")))]),
    ("ProductRunRequested", |e| {
        let intent = Fact::new(Event, format!("intent/{}", e.text("run"))).labelled(e.titled("name", "version"));
        vec![e.by(intent.edge(DerivedFrom, Blueprint, format!("blueprint/{}", e.text("digest"))))]
    }),
    // What is published.
    ("DefinitionPublished", |e| {
        vec![
            e.by(Fact::new(Workflow, format!("workflow/{}@{}", e.id(), e.text("version")))
                .labelled(e.said(&["definition.title"]))),
        ]
    }),
    ("AgentPublished", |e| {
        let name = format!("agent/{}@{}", e.text("agent.name"), e.text("version"));
        vec![e.by(Fact::new(Agent, name).labelled(e.text("agent.title")))]
    }),
    ("SkillRegistered", skill),
    ("SkillReplaced", skill),
    // Runs.
    ("RunSubmitted", run),
    ("ItemsListed", items),
    ("StepRequested", |e| vec![call(e)]),
    ("StepComputed", |e| [vec![call(e)], result(e)].concat()),
    ("StepSucceeded", result),
    ("AttemptFailed", |e| vec![failure(e, "failure/")]),
    ("StepFailed", |e| vec![failure(e, "failed/")]),
    ("SignalReceived", |e| {
        let name = format!("signal/{}/{}/{}", e.id(), e.text("name"), e.version);
        vec![e.by(Fact::new(Event, name).labelled(e.text("name")).edge(PartOf, Run, e.run()))]
    }),
    ("RunSucceeded", |e| {
        let given = Fact::new(Artifact, format!("result/{}", e.run())).labelled("what the run gave");
        vec![given.edge(ProducedBy, Run, e.run()).results(e.run(), Newer, PartOf, DerivedFrom)]
    }),
    ("RunFailed", |e| vec![end(e, "failed")]),
    ("RunCancelled", |e| vec![e.by(end(e, "cancelled"))]),
    // Agents.
    ("AgentTaskAssigned", |e| {
        let task = Fact::new(AgentTask, e.task()).labelled(e.said(&["goal", "agent"]));
        vec![match e.parent() {
            Some(step) => task.edge(Caused, Step, step),
            None => e.by(task),
        }]
    }),
    ("ContextLoaded", context),
    ("ContextPackageBuilt", package),
    ("ModelCallRequested", |e| {
        let before = format!("answer/{}/{}", e.id(), e.number("turn").saturating_sub(1));
        let prompt = Fact::new(Prompt, e.of_task("prompt", &["turn", "attempt"])).labelled(e.text("digest"));
        let prompt = prompt.edge(PartOf, AgentTask, e.task()).edge_if_known(Used, format!("context/{}", e.id()));
        vec![prompt.edge_if_known(Used, before.clone()).results(before, Newer, Used, Used)]
    }),
    ("ModelCallAnswered", answer),
    ("ToolCallRequested", |e| {
        let tool = Fact::new(ToolInvocation, e.of_task("tool", &["turn", "call"])).labelled(e.text("skill"));
        let tool = tool.edge(PartOf, AgentTask, e.task()).edge(Used, Skill, format!("skill/{}", e.text("skill")));
        vec![tool.edge_if_known(Used, e.of_task("answer", &["turn"]))]
    }),
    ("ToolCallSucceeded", |e| {
        let tool = e.of_task("tool", &["turn", "call"]);
        let given = Fact::new(Artifact, format!("result/{tool}")).edge(ProducedBy, ToolInvocation, tool);
        vec![grounded(e, given)]
    }),
    ("CheckRequested", |e| {
        let check = Fact::new(ToolInvocation, e.of_task("check", &["number"])).edge(PartOf, AgentTask, e.task());
        vec![check.last(format!("answer/{}/", e.id()), ValidatedBy)]
    }),
    ("AgentTaskCompleted", |e| {
        let given = Fact::new(Artifact, format!("result/{}", e.task())).edge(ProducedBy, AgentTask, e.task());
        let given = given.labelled("what the task gave").last(format!("answer/{}/", e.id()), DerivedFrom);
        vec![given.last(format!("check/{}/", e.id()), DependsOn)]
    }),
    ("TaskTakenOver", |e| {
        vec![e.by(Fact::new(Event, format!("taken-over/{}", e.id())).edge(Caused, AgentTask, e.task()))]
    }),
    // People.
    ("ApprovalOpened", |e| {
        let asked = Fact::new(Approval, format!("approval/{}", e.id())).labelled(e.said(&["request.title"]));
        let asked = asked.edge(Used, Principal, format!("principal/{}", e.text("requestedBy")));
        let (run, step) = (e.last_part("request.run"), e.text("request.step"));
        vec![match step.as_str() {
            "" => asked.edge_if_known(Caused, format!("run/{run}")),
            step => asked.edge(Caused, Step, format!("step/{run}/{step}")),
        }]
    }),
    ("ApprovalGranted", |e| vec![decided(e, "granted")]),
    ("ApprovalRejected", |e| vec![decided(e, "rejected")]),
    ("ApprovalExpired", |e| vec![decided(e, "expired")]),
    // Delivery.
    ("CommitRecorded", |e| {
        let made = commit(&e.text("commit")).labelled(e.last_part("repository"));
        let made = made.edge(CommittedAs, Artifact, format!("result/run/{}", e.text("run")));
        vec![match e.text("blueprintDigest").as_str() {
            "" => made,
            digest => made.edge(DerivedFrom, Blueprint, format!("blueprint/{digest}")),
        }]
    }),
    ("BuildRecorded", |e| vec![build(e, "build").edge(BuiltAs, Commit, format!("commit/{}", e.text("commit")))]),
    ("TestsRecorded", |e| {
        let counts = format!("{} passed, {} failed", e.number("passed"), e.number("failed"));
        let tests = build(e, "tests").labelled(counts);
        vec![tests.edge(ValidatedBy, Commit, format!("commit/{}", e.text("commit")))]
    }),
    // What runs.
    ("WorkloadRequested", |e| {
        let name = format!("deployment/{}/{}", e.id(), e.number("generation"));
        let deployed = Fact::new(Deployment, name).labelled(e.text("spec.launch.name"));
        let deployed = deployed.edge_if_known(ProducedBy, format!("run/{}", e.text("spec.run")));
        vec![match e.text("spec.launch.commit").as_str() {
            "" => deployed,
            commit => deployed.edge(DeployedAs, Commit, format!("commit/{commit}")),
        }]
    }),
    ("ProcessStarted", |e| vec![signal(e, "started")]),
    ("ProcessExited", |e| vec![signal(e, "exited")]),
    ("ProductDelivered", |e| {
        let product = Fact::new(Artifact, format!("product/{}/{}", e.id(), e.text("run"))).labelled(e.id());
        let product = product.edge_if_known(DerivedFrom, format!("commit/{}", e.text("commit")));
        let product = product.edge_if_known(ProducedBy, format!("run/{}", e.text("run")));
        vec![product.last(format!("deployment/{}/", e.id()), DependsOn)]
    }),
];

/// The event types that are looked at.
pub fn interests() -> &'static [&'static str] {
    static NAMES: std::sync::LazyLock<Vec<&'static str>> =
        std::sync::LazyLock::new(|| TABLE.iter().map(|(name, _)| *name).collect());
    &NAMES
}

/// What an event tells, oldest first; `version` is its version in its entity.
pub fn facts(envelope: &Envelope, version: u64) -> Vec<Fact> {
    let Some((_, tells)) = TABLE.iter().find(|(name, _)| *name == &*envelope.event_type) else { return Vec::new() };
    // What cannot be read tells nothing; that it cannot is said when its entity is woken.
    let Ok(payload) = serde_json::from_slice(&envelope.payload) else { return Vec::new() };
    tells(&Told { envelope, version, payload })
}

/// An event, to be read.
struct Told<'e> {
    envelope: &'e Envelope,
    version: u64,
    payload: Value,
}

impl Told<'_> {
    /// What lies at this path; parts are divided by points.
    fn at(&self, path: &str) -> &Value {
        path.split('.').fold(&self.payload, |value, part| value.get(part).unwrap_or(&Value::Null))
    }

    fn text(&self, path: &str) -> String {
        match self.at(path) {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }
    }

    fn number(&self, path: &str) -> u64 {
        self.at(path).as_u64().unwrap_or(0)
    }

    /// The first of these that is said, as a label: one line, not too long.
    fn said(&self, paths: &[&str]) -> String {
        let said = paths.iter().map(|path| self.text(path)).find(|text| !text.is_empty()).unwrap_or_default();
        said.lines().next().unwrap_or_default().chars().take(LABEL_MAX).collect()
    }

    fn titled(&self, name: &str, version: &str) -> String {
        format!("{} v{}", self.said(&[name]), self.number(version))
    }

    fn last_part(&self, path: &str) -> String {
        self.text(path).rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The entity's id.
    fn id(&self) -> &str {
        self.envelope.headers.subject.id()
    }

    fn run(&self) -> String {
        format!("run/{}", self.id())
    }

    fn task(&self) -> String {
        format!("task/{}", self.id())
    }

    fn of_task(&self, what: &str, numbers: &[&str]) -> String {
        numbers.iter().fold(format!("{what}/{}", self.id()), |name, path| format!("{name}/{}", self.number(path)))
    }

    /// The step of this run that an event is about, with its item when it has one.
    fn step(&self) -> String {
        self.below(&format!("step/{}", self.id()), "step", "item")
    }

    /// The step that waits for this.
    fn parent(&self) -> Option<String> {
        let run = Some(self.last_part("parent.run")).filter(|run| !run.is_empty())?;
        Some(self.below(&format!("step/{run}"), "parent.step", "parent.item"))
    }

    fn below(&self, run: &str, step: &str, item: &str) -> String {
        let step = format!("{run}/{}", self.text(step));
        self.at(item).as_u64().map_or(step.clone(), |item| format!("{step}/{item}"))
    }

    /// The node, caused by whoever was authenticated, and let in by the policy that allowed it.
    fn by(&self, fact: Fact) -> Fact {
        let principal = &self.envelope.headers.principal;
        let name = principal.on_behalf_of.as_deref().unwrap_or(&principal.name);
        let fact = fact.edge(Caused, Principal, format!("principal/{name}"));
        match self.envelope.headers.admitted_by.as_str() {
            "" => fact,
            policy => fact.edge(Used, Policy, format!("policy/{policy}")),
        }
    }
}

fn blueprint(e: &Told<'_>, digest: &str) -> Fact {
    Fact::new(Blueprint, format!("blueprint/{}", e.text(digest)))
}

fn skill(e: &Told<'_>) -> Vec<Fact> {
    let name = e.text("manifest.name");
    let version = Fact::new(Skill, format!("skill/{name}@{}", e.text("manifest.version")));
    vec![e.by(version.labelled(e.said(&["manifest.description"])))]
}

/// A run and its steps, each behind those that it needs.
fn run(e: &Told<'_>) -> Vec<Fact> {
    let (name, version) = (e.text("definition.name"), e.number("definition.version"));
    let digest: String = e.last_part("definition.digest").chars().take(19).collect();
    let version = if version == 0 { digest } else { version.to_string() };
    let run = Fact::new(Run, e.run()).labelled(format!("{name}@{version}"));
    let run = run.edge(Used, Workflow, format!("workflow/{name}@{version}"));
    let run = run.edge_if_known(Caused, format!("intent/{}", e.id()));
    let run = match e.text("project").as_str() {
        "" => run,
        project => run.edge(PartOf, Project, format!("project/{project}")),
    };
    let run = match e.parent() {
        Some(step) => run.edge(Caused, Step, step),
        None => e.by(run),
    };
    let steps = e.at("workflow.steps").as_array().map(Vec::as_slice).unwrap_or_default();
    let mut left: Vec<(&str, &Value)> =
        steps.iter().take(ROW_MAX).filter_map(|step| Some((step.get("id")?.as_str()?, step))).collect();
    let mut facts = vec![run];
    // Steps may stand in any order in the text; the passes are as many as the longest chain.
    while !left.is_empty() {
        let waiting: std::collections::BTreeSet<&str> = left.iter().map(|(id, _)| *id).collect();
        let (later, now): (Vec<_>, Vec<_>) =
            left.iter().partition(|(_, step)| needs(step).any(|need| waiting.contains(need)));
        if now.is_empty() {
            break;
        }
        facts.extend(now.into_iter().map(|(id, step): (&str, &Value)| planned(e, id, step)));
        left = later;
    }
    facts
}

fn needs(step: &Value) -> impl Iterator<Item = &str> {
    step.get("needs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn planned(e: &Told<'_>, id: &str, step: &Value) -> Fact {
    let said = |path: &str| step.pointer(path).and_then(Value::as_str);
    let fact = Fact::new(Step, format!("step/{}/{id}", e.id())).edge(PartOf, Run, e.run());
    let fact = needs(step).fold(fact, |fact, need| fact.edge(DependsOn, Step, format!("step/{}/{need}", e.id())));
    let fact = match said("/agent/agent").or_else(|| said("/workflow/definition")) {
        Some(called) => fact.labelled(called),
        None => fact,
    };
    match said("/skill").or_else(|| said("/forEach/skill")) {
        Some(skill) => fact.labelled(skill).edge(Used, Skill, format!("skill/{skill}")),
        None => fact,
    }
}

fn items(e: &Told<'_>) -> Vec<Fact> {
    let count = e.at("items").as_array().map_or(0, Vec::len).min(ROW_MAX);
    let item = |at| Fact::new(Step, format!("{}/{at}", e.step())).edge(PartOf, Step, e.step());
    (0..count).map(item).collect()
}

fn call_name(e: &Told<'_>) -> String {
    format!("{}/{}", e.step().replacen("step/", "call/", 1), e.number("attempt"))
}

fn call(e: &Told<'_>) -> Fact {
    let whole = format!("step/{}/{}", e.id(), e.text("step"));
    let call = Fact::new(ToolInvocation, call_name(e)).labelled(format!("attempt {}", e.number("attempt")));
    call.edge(PartOf, Step, e.step()).results(whole, Older, DependsOn, Used)
}

/// What a step gave, and the commit when it gave one: a deployment names it before anybody else does.
fn result(e: &Told<'_>) -> Vec<Fact> {
    let (step, name) = (e.step(), format!("result/{}", e.step()));
    let whole = format!("step/{}/{}", e.id(), e.text("step"));
    let given = Fact::new(Artifact, name.clone()).labelled(format!("what {} gave", e.text("step")));
    let given = given.edge(ProducedBy, Step, step.clone()).edge_if_known(ProducedBy, call_name(e));
    let given = given.results(whole, Older, DependsOn, Used);
    let given = given.results(step.clone(), Newer, Caused, DerivedFrom).results(step, Newer, PartOf, DerivedFrom);
    let given = grounded(e, given);
    let committed = e.text("output.commit");
    let is_commit = committed.len() >= 40 && committed.bytes().all(|byte| byte.is_ascii_hexdigit());
    let made = is_commit.then(|| commit(&committed).edge(CommittedAs, Artifact, name));
    [given].into_iter().chain(made).collect()
}

fn commit(id: &str) -> Fact {
    Fact::new(Commit, format!("commit/{id}")).labelled("a commit")
}

fn failure(e: &Told<'_>, what: &str) -> Fact {
    let name = format!("{what}{}", call_name(e).replacen("call/", "", 1));
    Fact::new(Event, name)
        .labelled(e.said(&["failure.message"]))
        .edge(Caused, Step, e.step())
        .edge_if_known(Caused, call_name(e))
}

fn end(e: &Told<'_>, how: &str) -> Fact {
    let end =
        Fact::new(Event, format!("{how}/{}/{}", e.id(), e.version)).labelled(e.said(&["failure.message", "reason"]));
    end.edge(Caused, Run, e.run()).results(e.run(), Newer, PartOf, DerivedFrom)
}

fn context(e: &Told<'_>) -> Vec<Fact> {
    let context = Fact::new(ContextPackage, format!("context/{}", e.id())).edge(PartOf, AgentTask, e.task());
    let agent = format!("agent/{}@{}", e.text("agent.name"), e.text("version"));
    let context = context.labelled(e.said(&["agent.title", "agent.name"])).edge(Used, Agent, agent);
    let tools = e.at("tools").as_array().map(Vec::as_slice).unwrap_or_default();
    let said = |tool: &Value, path: &str| tool.get(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    vec![tools.iter().take(ROW_MAX).fold(context, |context, tool| {
        context.edge(Used, Skill, format!("skill/{}@{}", said(tool, "skill"), said(tool, "version")))
    })]
}

/// A package, and each chunk that it holds with its document.
fn package(e: &Told<'_>) -> Vec<Fact> {
    let package = Fact::new(ContextPackage, format!("package/{}", e.id())).labelled(e.said(&["intent"]));
    let sources = e.at("sources").as_array().map(Vec::as_slice).unwrap_or_default();
    let said = |source: &Value, path: &str| source.get(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut facts, mut package) = (Vec::new(), package);
    for source in sources.iter().take(ROW_MAX) {
        let (chunk, citation) = (format!("chunk/{}", said(source, "chunk")), said(source, "citation"));
        let document = citation.rsplit_once(':').map_or(citation.as_str(), |(document, _)| document);
        let document = format!("document/{document}");
        package = package.edge(GroundedOn, Chunk, chunk.clone());
        facts.push(Fact::new(Chunk, chunk).labelled(citation.clone()).edge(PartOf, Document, document));
    }
    facts.push(e.by(package));
    facts
}

/// What was given, and the package that it was made of when it names one.
fn grounded(e: &Told<'_>, given: Fact) -> Fact {
    match e.text("output.contextId").as_str() {
        "" => given,
        package => given.edge_if_known(DerivedFrom, format!("package/{package}")),
    }
}

fn answer(e: &Told<'_>) -> Vec<Fact> {
    let usage = |what: &str| e.number(&format!("answer.usage.{what}"));
    let spent = Spent {
        tokens: usage("inputTokens").saturating_add(usage("outputTokens")),
        cost: e.number("cost"),
        took_ms: e.number("tookMs"),
    };
    let model = format!("{}/{}", e.text("by.endpoint"), e.text("by.model"));
    let answer = Fact::new(ModelInvocation, e.of_task("answer", &["turn"])).labelled(model.clone()).costing(spent);
    let prompt = e.of_task("prompt", &["turn", "attempt"]);
    let answer = answer.edge(PartOf, AgentTask, e.task()).edge(DerivedFrom, Prompt, prompt);
    vec![answer.edge(Used, Model, format!("model/{model}"))]
}

fn decided(e: &Told<'_>, how: &str) -> Fact {
    let approval = format!("approval/{}", e.id());
    let decided = Fact::new(Approval, format!("result/{approval}")).labelled(how).edge(DecidedBy, Approval, approval);
    let by: Vec<String> = match e.at("by") {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    by.into_iter().fold(decided, |fact, by| fact.edge(ProducedBy, Principal, format!("principal/{by}")))
}

fn build(e: &Told<'_>, what: &str) -> Fact {
    Fact::new(Build, format!("{what}/{}/{}", e.text("commit"), e.text("run")))
        .edge_if_known(ProducedBy, format!("run/{}", e.text("run")))
}

fn signal(e: &Told<'_>, what: &str) -> Fact {
    Fact::new(RuntimeSignal, format!("{what}/{}/{}", e.id(), e.number("incarnation")))
        .labelled(e.said(&["exit.message", "url"]))
        .last(format!("deployment/{}/", e.id()), ObservedOn)
}
