//! Turns: asking a model, and what came of it.

use std::sync::Arc;

use mesh_skills::{
    contract::{Failure, FailureClass},
    models::{Amount, Fault, ModelOutcome, ModelResult, chat},
};

use super::{
    super::{
        conversation,
        messages::{Event, Why},
        state::Work,
        wants::model_key,
    },
    Deciding, Error,
};
use crate::{context::Context, definition::Budget};

impl Deciding<'_> {
    /// Asks for the next answer, unless it may take no more turns or could cost more than is left.
    pub(super) fn begin_turn(&mut self) {
        let Some(context) = self.context() else { return };
        let turn = self.task.turn + 1;
        let turns = context.agent.limits.turns;
        if turn > self.task.turns_before.saturating_add(turns) {
            let message = format!("it took {turns} turns, as many as it may, and has not come to an end");
            self.exhausted(Why::Turns, message);
            return;
        }
        self.ask(turn, 1, 0);
    }

    fn ask(&mut self, turn: u32, attempt: u32, candidate: u32) {
        let request = conversation::next(&self.task);
        let (input, output) = (conversation::estimate(&request), u64::from(request.max_tokens));
        let prices = self.context().and_then(|context| context.prices);
        let cost = prices.map_or(0, |prices| prices.at_most(input, output));
        let most = Amount { tokens: input.saturating_add(output), cost };
        if !self.can_pay(most) {
            return;
        }
        let digest = conversation::digest(&request);
        let (reserved, reserved_cost) = (most.tokens, most.cost);
        self.emit(Event::ModelCallRequested { turn, attempt, candidate, digest, reserved, reserved_cost });
    }

    /// Whether what is left of the budget is enough for the next call; if not, the task waits for a person.
    fn can_pay(&mut self, most: Amount) -> bool {
        let Some(context) = self.context() else { return false };
        let (Budget { tokens, cost }, spent) = (self.budget(&context), self.task.spent);
        let used = Amount { tokens: spent.tokens(), cost: u64::try_from(spent.cost).unwrap_or_default() };
        let then = used.plus(most);
        let missing = match (tokens, cost) {
            (Some(tokens), _) if then.tokens > tokens => format!(
                "the next call may use {} tokens, and of {tokens} are {} left",
                most.tokens,
                tokens.saturating_sub(used.tokens)
            ),
            (_, Some(cost)) if used.cost >= cost => format!("{} of {cost} millionths were spent", used.cost),
            (_, Some(cost)) if then.cost > cost => format!(
                "the next call may cost {} millionths, and of {cost} are {} left",
                most.cost,
                cost.saturating_sub(used.cost)
            ),
            _ => String::new(),
        };
        if !missing.is_empty() {
            self.emit(Event::BudgetExhausted { spent, missing });
            return false;
        }
        let near = |used: u64, all: Option<u64>| all.is_some_and(|all| used.saturating_mul(5) >= all.saturating_mul(4));
        if !self.task.warned && (near(then.tokens, tokens) || near(then.cost, cost)) {
            self.emit(Event::BudgetWarned { spent });
        }
        true
    }

    /// What it may spend: by its definition, of its parent's budget, and what people have granted.
    pub(super) fn budget(&self, context: &Context) -> Budget {
        let most = self.task.head.as_ref().map(|head| head.assigned.most).unwrap_or_default();
        let (tokens, cost) = self.task.granted;
        let lesser = |own: Option<u64>, most: Option<u64>| own.into_iter().chain(most).min();
        Budget {
            tokens: lesser(context.agent.budget.tokens, most.tokens).map(|all| all.saturating_add(tokens)),
            cost: lesser(context.agent.budget.cost, most.cost).map(|all| all.saturating_add(cost)),
        }
    }

    /// The next attempt is due.
    pub(super) fn ask_again(&mut self) {
        if let Work::Again { attempt, candidate, .. } = self.task.work {
            self.ask(self.task.turn, attempt, candidate);
        }
    }

    pub(super) fn record_model(&mut self, outcome: ModelOutcome) -> Result<(), Error> {
        let asked = match self.task.work {
            Work::Model { attempt, .. } if outcome.key.as_str() == model_key(&self.task, attempt) => attempt,
            _ => return Err(Self::late(&outcome.key)),
        };
        let turn = self.task.turn;
        match outcome.result {
            ModelResult::Answered { answer, by, cost, took_ms, first_token_ms } => {
                let answer = Arc::new(answer);
                self.emit(Event::ModelCallAnswered {
                    turn,
                    attempt: asked,
                    answer: answer.clone(),
                    by,
                    cost,
                    took_ms,
                    first_token_ms,
                });
                self.answered(&answer);
            }
            ModelResult::Failed { failure, fault, candidates, lost } => {
                self.model_failed(asked, failure, fault, candidates, lost);
            }
            ModelResult::Unknown {} => self.model_unknown(asked),
            ModelResult::Withheld { message, stops } => self.withheld(asked, message, stops),
        }
        Ok(())
    }

    fn model_failed(
        &mut self,
        attempt: u32,
        failure: Failure,
        fault: Fault,
        candidates: u32,
        lost: Option<chat::Usage>,
    ) {
        let turn = self.task.turn;
        let Work::Model { candidate, .. } = self.task.work else { return };
        let context = self.context();
        // What was not sent is no attempt at an answer.
        let attempts = context.as_ref().map_or(1, |context| context.agent.limits.attempts) + self.task.withheld;
        let prices = context.and_then(|context| context.prices);
        let price =
            |lost: chat::Usage| prices.map_or(0, |prices| prices.at_most(lost.input_tokens, lost.output_tokens));
        let lost_cost = lost.map_or(0, price);
        let another = candidate + 1 < candidates && fault.elsewhere();
        let (next, retry_at) = match (attempt < attempts, another, fault.again()) {
            // The next candidate is asked at once; the first one again only after a pause.
            (true, true, _) => (candidate + 1, Some(self.cause.at)),
            (true, false, true) => (0, Some(self.backoff(attempt, &failure))),
            _ => (0, None),
        };
        let failure = Arc::new(failure);
        self.emit(Event::ModelCallFailed {
            turn,
            attempt,
            fault,
            failure: failure.clone(),
            lost,
            lost_cost,
            retry_at,
            next,
        });
        match retry_at {
            None => self.fail(failure.as_ref().clone()),
            Some(at) if at <= self.cause.at && self.task.paused.is_none() => self.ask_again(),
            Some(_) => {}
        }
    }

    /// A budget above it has no room: what the task itself had reserved is free again.
    fn withheld(&mut self, attempt: u32, message: String, stops: bool) {
        let turn = self.task.turn;
        self.emit(Event::ModelCallWithheld { turn, attempt, message: message.clone(), stops });
        if stops {
            self.fail(Failure::new(FailureClass::Resource, "agent.budget", message));
        } else if self.task.paused.is_none() {
            let spent = self.task.spent;
            self.emit(Event::BudgetExhausted { spent, missing: message });
        }
    }

    /// It was recorded by an earlier life, and perhaps sent: it is asked once more, under another attempt's name.
    fn model_unknown(&mut self, attempt: u32) {
        let turn = self.task.turn;
        let Work::Model { candidate, .. } = self.task.work else { return };
        self.emit(Event::ModelCallOutcomeUnknown { turn, attempt });
        self.ask(turn, attempt + 1, candidate);
    }
}
