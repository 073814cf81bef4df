//! People are asked, and have decided.

use std::sync::Arc;

use mesh_skills::contract::Failure;
use serde_json::{Map, Value, json};

use super::{
    super::{error::Error, ids, messages::Event, state::Wait},
    Deciding, invalid,
    schedule::bounded,
};
use crate::{
    expression::Template,
    form::digest_of,
    plan::{ApprovalPlan, PlanStep, StepIndex},
};

impl Deciding<'_> {
    /// Asks; the digest binds the answer to what was shown.
    pub(super) fn request_approval(
        &mut self,
        step: &PlanStep,
        at: StepIndex,
        approval: &ApprovalPlan,
    ) -> Result<(), Failure> {
        let subject = match &approval.subject {
            Some(subject) => self.rendered(subject)?,
            None => self.needed_outputs(step),
        };
        let subject = bounded(subject, "step.approval")?;
        let attempt = self.next_attempt(at, None);
        let event = Event::ApprovalRequested {
            step: step.id.clone(),
            attempt,
            approval: ids::approval(&self.cause.address, &step.id, attempt),
            title: self.text(&approval.title)?,
            description: self.text(&approval.description)?,
            digest: digest_of(&subject),
            subject,
            quorum: approval.quorum,
            roles: approval.roles.clone(),
            deadline: self.cause.at.plus(approval.deadline),
            escalate_at: approval.escalate_after.map(|after| self.cause.at.plus(after)),
            due: step.timeout.map(|timeout| self.cause.at.plus(timeout)),
            submitted_by: self.run.head.as_ref().map(|head| head.submitted_by.clone()).unwrap_or_default(),
        };
        self.emit(event);
        Ok(())
    }

    fn rendered(&self, template: &Template) -> Result<Value, Failure> {
        self.evaluate(None, None, |scope| template.render(scope))
            .map_err(|error| invalid("step.approval", error.to_string()))
    }

    fn text(&self, template: &Template) -> Result<String, Failure> {
        Ok(match self.rendered(template)? {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        })
    }

    fn needed_outputs(&self, step: &PlanStep) -> Value {
        let outputs = step.needs.iter().filter_map(|need| {
            let id = self.plan.step(*need)?.id.to_string();
            let output = self.run.work(*need, None)?.output.as_deref().cloned();
            Some((id, output.unwrap_or_default()))
        });
        Value::Object(outputs.collect::<Map<_, _>>())
    }

    /// They have decided.
    pub(super) fn record_approval(
        &mut self,
        step: &str,
        approval: &str,
        approved: bool,
        by: &[String],
        comment: &str,
    ) -> Result<(), Error> {
        let at = self.find(step)?;
        let waits = self.run.work(at, None).and_then(|work| work.wait.as_ref());
        if !matches!(waits, Some(Wait::Approval { approval: asked, .. }) if asked == approval) {
            return Err(Error::Late { what: format!("the approval `{approval}`") });
        }
        if approved {
            let output = json!({ "approved": true, "approval": approval, "by": by, "comment": comment });
            self.succeed_step(at, None, Some(Arc::new(output)), None, Vec::new());
            self.settle();
        } else {
            let who = if by.is_empty() { "nobody decided in time".to_owned() } else { by.join(", ") };
            let said = if comment.is_empty() { String::new() } else { format!(": {comment}") };
            let failure = invalid("approval.rejected", format!("rejected ({who}){said}"));
            let attempt = self.run.work(at, None).map_or(1, |work| work.attempts);
            self.fail_step(at, None, attempt, failure.into());
        }
        Ok(())
    }
}
