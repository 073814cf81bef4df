//! One step, compiled.

use std::{sync::Arc, time::Duration};

use mesh_proto::v1::{
    AgentStep, ApprovalStep, Compensation, ForEachStep, Step, TimerStep, WorkflowStep, for_each_step, step::Kind,
    timer_step::When,
};
use serde_json::{Map, Value};

use super::{
    Act, AgentPlan, ApprovalPlan, Body, CompensatePlan, Fault, Flow, ForEachPlan, PlanStep, RetryPlan, StepIndex,
    WorkflowPlan,
    compile::{forbid_item, template},
    duration::duration,
};
use crate::{
    expression::{Expression, Reads, Template},
    form::{of_proto, struct_to_json, value_to_json},
};

/// Items at once when it is not said.
const PARALLEL: u32 = 8;
/// How long an approval waits when it is not said.
const APPROVAL_DEADLINE: Duration = Duration::from_secs(72 * 3600);

/// Where a step stands, and what was found in it.
pub(super) struct Context<'f> {
    at: usize,
    faults: &'f mut Vec<Fault>,
    /// Everything that its expressions read, with the place.
    pub(super) reads: Vec<(String, Reads)>,
}

impl<'f> Context<'f> {
    pub(super) fn new(at: usize, faults: &'f mut Vec<Fault>) -> Self {
        Self { at, faults, reads: Vec::new() }
    }

    fn pointer(&self, field: &str) -> String {
        format!("/steps/{}{field}", self.at)
    }

    fn fault(&mut self, field: &str, message: impl Into<String>, help: &str) {
        let fault = Fault::new(self.pointer(field), message).help(help);
        self.faults.push(fault);
    }

    fn duration(&mut self, given: Option<&prost_types::Duration>, field: &str) -> Option<Duration> {
        let at = self.pointer(field);
        duration(given, &at, self.faults)
    }

    /// Compiles a value of this step; `item` says whether items are known there.
    fn template(&mut self, value: &Value, field: &str, allowed: Allowed) -> Option<Template> {
        let pointer = self.pointer(field);
        let template = template(value, &pointer, self.faults)?;
        let mut seen = Vec::new();
        template.each_read(&mut |place, reads| seen.push((format!("{pointer}{place}"), reads.clone())));
        for (place, reads) in seen {
            self.saw(place, reads, allowed);
        }
        Some(template)
    }

    fn saw(&mut self, pointer: String, mut reads: Reads, allowed: Allowed) {
        match allowed {
            Allowed::Nothing => {}
            Allowed::Item => reads.item = false,
            Allowed::Output => reads.output = false,
        }
        forbid_item(&reads, &pointer, self.faults);
        self.reads.push((pointer, reads));
    }
}

/// Names that are known only in some places.
#[derive(Clone, Copy)]
enum Allowed {
    Nothing,
    Item,
    Output,
}

/// Compiles a step; what is wrong goes into the context.
pub(super) fn compile(step: &Step, needs: Vec<StepIndex>, context: &mut Context<'_>) -> Option<PlanStep> {
    let act = act(step, context);
    let when = when(step, context);
    let each = matches!(step.kind, Some(Kind::ForEach(_)));
    let allowed = if each { Allowed::Item } else { Allowed::Nothing };
    let with = step.with.as_ref().map_or_else(|| Value::Object(Map::new()), struct_to_json);
    let with = context.template(&with, "/with", allowed);
    check_fields(step, context);
    let pointer = context.pointer("/retry");
    let retry = match (&step.retry, calls_skill(step)) {
        // A child has retries of its own; people, signals and instants have none.
        (None, false) => RetryPlan::never(),
        (retry, _) => RetryPlan::compile(retry.as_ref(), &pointer, context.faults),
    };
    let compensate = step.compensate.as_ref().and_then(|undo| compensate(undo, context));
    let timeout = context.duration(step.timeout.as_ref(), "/timeout");
    let title = if step.title.is_empty() { &step.id } else { &step.title };
    Some(PlanStep {
        id: Arc::from(step.id.as_str()),
        title: Arc::from(title.as_str()),
        needs,
        successors: Vec::new(),
        when,
        act: act?,
        with: with?,
        retry,
        timeout,
        compensate,
        flow: Flow::default(),
    })
}

fn when(step: &Step, context: &mut Context<'_>) -> Option<Expression> {
    let text = step.when.trim();
    if text.is_empty() {
        return None;
    }
    // `when: ${ … }` is as good as `when: …`.
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    match Expression::compile(inner) {
        Ok(expression) => {
            let pointer = context.pointer("/when");
            context.saw(pointer, expression.reads().clone(), Allowed::Nothing);
            Some(expression)
        }
        Err(errors) => {
            for error in errors {
                let help = error.help().unwrap_or_else(|| "a condition is one CEL expression".to_owned());
                context.fault("/when", error.to_string(), &help);
            }
            None
        }
    }
}

fn act(step: &Step, context: &mut Context<'_>) -> Option<Act> {
    match &step.kind {
        Some(Kind::Skill(skill)) => skill_name(skill, "/skill", context).map(Act::Skill),
        Some(Kind::Approval(approval)) => compile_approval(approval, context).map(Act::Approval),
        Some(Kind::Signal(signal)) => {
            if !is_name(&signal.name) {
                context.fault(
                    "/signal/name",
                    format!("`{}` cannot be a signal's name", signal.name),
                    "up to 100 letters, digits, `-`, `_` and `.`",
                );
            }
            Some(Act::Signal(Arc::from(signal.name.as_str())))
        }
        Some(Kind::Timer(timer)) => compile_timer(timer, context),
        Some(Kind::ForEach(each)) => compile_each(each, context).map(Act::ForEach),
        Some(Kind::Workflow(workflow)) => compile_workflow(workflow, "/workflow", context).map(Act::Workflow),
        Some(Kind::Agent(agent)) => compile_agent(agent, context).map(Act::Agent),
        None => {
            context.fault(
                "",
                format!("step `{}` does not say what it does", step.id),
                "add one of `skill`, `approval`, `signal`, `timer`, `forEach`, `workflow`, `agent`",
            );
            None
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn skill_name(name: &str, field: &str, context: &mut Context<'_>) -> Option<Arc<str>> {
    if !is_name(name) {
        context.fault(field, format!("`{name}` cannot be a skill's name"), "write it as in `text.echo`");
        return None;
    }
    Some(Arc::from(name))
}

fn compile_approval(approval: &ApprovalStep, context: &mut Context<'_>) -> Option<ApprovalPlan> {
    let text = |text: &str, or: &str| Value::String(if text.is_empty() { or } else { text }.to_owned());
    let title = context.template(&text(&approval.title, "Approve?"), "/approval/title", Allowed::Nothing);
    let description = context.template(&text(&approval.description, ""), "/approval/description", Allowed::Nothing);
    let subject = approval.subject.as_ref().map(value_to_json);
    let subject = subject.and_then(|subject| context.template(&subject, "/approval/subject", Allowed::Nothing));
    if approval.quorum > 100 {
        context.fault("/approval/quorum", "more than 100 approvals", "ask fewer people");
    }
    for (at, role) in approval.roles.iter().enumerate() {
        let known = role.parse::<mesh_kernel::envelope::Role>();
        if known.is_err() || role == "system" {
            context.fault(
                &format!("/approval/roles/{at}"),
                format!("`{role}` is no role"),
                "one of `operator`, `admin`, `developer`, `approver`, `viewer`",
            );
        }
    }
    let deadline = context.duration(approval.deadline.as_ref(), "/approval/deadline").unwrap_or(APPROVAL_DEADLINE);
    let escalate_after = context.duration(approval.escalate_after.as_ref(), "/approval/escalateAfter");
    if escalate_after.is_some_and(|after| after >= deadline) {
        context.fault(
            "/approval/escalateAfter",
            "it would be escalated only after it was rejected",
            "make `escalateAfter` shorter than `deadline`",
        );
    }
    Some(ApprovalPlan {
        title: title?,
        description: description?,
        subject,
        quorum: approval.quorum.max(1),
        roles: match approval.roles.is_empty() {
            true => vec!["approver".to_owned()],
            false => approval.roles.clone(),
        },
        deadline,
        escalate_after,
    })
}

fn compile_timer(timer: &TimerStep, context: &mut Context<'_>) -> Option<Act> {
    match &timer.when {
        Some(When::Duration(duration)) => match of_proto(Some(duration)) {
            Some(duration) => Some(Act::Sleep(duration)),
            None => {
                context.fault("/timer/duration", "the wait has no length", "write `30s` or `5m`");
                None
            }
        },
        Some(When::Until(until)) => {
            let literal = !until.contains("${");
            if literal && until.parse::<mesh_kernel::envelope::Timestamp>().is_err() {
                context.fault(
                    "/timer/until",
                    format!("`{until}` is no instant"),
                    "write `2030-01-31T09:30:00Z`, or an expression `${…}` that gives one",
                );
            }
            let until = Value::String(until.clone());
            context.template(&until, "/timer/until", Allowed::Nothing).map(Act::Until)
        }
        None => {
            context.fault("/timer", "the timer does not say when", "add `duration` or `until`");
            None
        }
    }
}

fn compile_each(each: &ForEachStep, context: &mut Context<'_>) -> Option<ForEachPlan> {
    let items = match &each.items {
        Some(items) => value_to_json(items),
        None => {
            context.fault("/forEach", "it does not say which list", "add `items: ${input.list}`");
            return None;
        }
    };
    if !matches!(&items, Value::Array(_)) && !items.as_str().is_some_and(|text| text.contains("${")) {
        context.fault("/forEach/items", "the items are no list", "write a list, or an expression `${…}`");
    }
    let items = context.template(&items, "/forEach/items", Allowed::Nothing);
    let body = match &each.body {
        Some(for_each_step::Body::Skill(skill)) => skill_name(skill, "/forEach/skill", context).map(Body::Skill),
        Some(for_each_step::Body::Workflow(workflow)) => {
            compile_workflow(workflow, "/forEach/workflow", context).map(Body::Workflow)
        }
        None => {
            context.fault("/forEach", "it does not say what to do with each item", "add `skill` or `workflow`");
            None
        }
    };
    let parallel = if each.parallel == 0 { PARALLEL } else { each.parallel };
    Some(ForEachPlan { items: items?, parallel, body: body? })
}

fn compile_workflow(workflow: &WorkflowStep, field: &str, context: &mut Context<'_>) -> Option<WorkflowPlan> {
    let name = skill_name(&workflow.definition, &format!("{field}/definition"), context)?;
    Some(WorkflowPlan { definition: name, version: (workflow.version > 0).then_some(workflow.version) })
}

fn compile_agent(agent: &AgentStep, context: &mut Context<'_>) -> Option<AgentPlan> {
    if !is_name(&agent.agent) {
        context.fault("/agent/agent", format!("`{}` cannot be an agent's name", agent.agent), "write it as in `clerk`");
        return None;
    }
    let goal = context.template(&Value::String(agent.goal.clone()), "/agent/goal", Allowed::Nothing)?;
    let version = (agent.version > 0).then_some(agent.version);
    Some(AgentPlan { agent: Arc::from(agent.agent.as_str()), version, goal })
}

fn compensate(undo: &Compensation, context: &mut Context<'_>) -> Option<CompensatePlan> {
    let skill = skill_name(&undo.skill, "/compensate/skill", context);
    let with = undo.with.as_ref().map_or_else(|| Value::Object(Map::new()), struct_to_json);
    let with = context.template(&with, "/compensate/with", Allowed::Output);
    Some(CompensatePlan { skill: skill?, with: with? })
}

/// Fields that mean nothing for this kind of step.
fn check_fields(step: &Step, context: &mut Context<'_>) {
    let calls = calls_skill(step) || matches!(&step.kind, Some(Kind::ForEach(_) | Kind::Workflow(_) | Kind::Agent(_)));
    if step.kind.is_none() {
        return;
    }
    if step.compensate.is_some() && !calls {
        context.fault("/compensate", "this step has no effect that could be undone", "remove it");
    }
    if step.retry.is_some() && !calls {
        context.fault("/retry", "this step is never retried", "remove it");
    }
    if step.with.is_some() && !calls {
        context.fault("/with", "this step takes no input", "remove it");
    }
    if step.timeout.is_some() && matches!(&step.kind, Some(Kind::Timer(_))) {
        context.fault("/timeout", "a timer has no time limit of its own", "remove it");
    }
}

fn calls_skill(step: &Step) -> bool {
    match &step.kind {
        Some(Kind::Skill(_)) => true,
        Some(Kind::ForEach(each)) => matches!(each.body, Some(for_each_step::Body::Skill(_))),
        _ => false,
    }
}
