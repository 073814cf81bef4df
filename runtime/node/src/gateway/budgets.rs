//! The part of `AgentService` that is about budgets: what may be spent on models, and was.

use std::time::Duration;

use mesh_agents::budget::{self, Command, Defaults, Level, Limit, Stands, Then};
use mesh_kernel::{
    envelope::{Address, ErrorKind, Refusal},
    path::Caller,
};
use mesh_proto::v1;
use mesh_skills::models::Amount;

use super::{
    GatewayState, Terms,
    convert::{
        time::{duration, of_message},
        view::read,
    },
    page::Binding,
    status::refused_field,
};

/// The action under which budgets are read.
const ACTION: &str = "ListBudgets";

pub(super) async fn list(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::ListBudgetsRequest,
) -> Result<v1::ListBudgetsResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    let binding = Binding::new(caller.scope(), "budgets", "");
    let page = binding.request(request.page_size, &request.page_token)?;
    let after = page.after.map(|after| after.parse::<Level>()).transpose();
    let after = after.map_err(|error| refused_field("page_token", error.to_string()))?;
    let stands = match state.mesh.query(caller, &address(caller)?, ACTION, "").await {
        Ok(viewed) => read(&viewed.view)?,
        Err(refusal) if refusal.kind == ErrorKind::NotFound => vec![untouched(state.agents.budgets())],
        Err(refusal) => return Err(refusal),
    };
    let mut rest = stands.into_iter().filter(|stands| after.as_ref().is_none_or(|after| stands.level > *after));
    let budgets: Vec<v1::Budget> = rest.by_ref().take(page.size).map(|stands| message(&stands)).collect();
    let next = rest.next().and(budgets.last()).map(|last| last.level.as_str());
    Ok(v1::ListBudgetsResponse { next_page_token: binding.seal(next), budgets })
}

/// The tenant's, before anything was set or spent.
fn untouched(defaults: &Defaults) -> Stands {
    Stands { level: Level::Tenant, limit: defaults.tenant, is_own: false, account: budget::Account::default() }
}

pub(super) async fn set(
    state: &GatewayState,
    caller: &Caller,
    request: v1::SetBudgetRequest,
) -> Result<v1::SetBudgetResponse, Refusal> {
    let terms = Terms::of("SetBudget", &request, &request.request_id, "")?;
    let level: Level =
        request.level.parse().map_err(|error: budget::NoLevel| refused_field("level", error.to_string()))?;
    let limit = limit(&request)?;
    let keep = limit.is_none() && !request.lift;
    let command = Command::SetBudget { level: level.clone(), limit, keep, restart: request.restart };
    let reply = state.send(caller, address(caller)?, &command, terms, Some(String::new())).await?;
    let all: Vec<Stands> = read(&reply.view)?;
    let stands = all.into_iter().find(|stands| stands.level == level);
    let budget =
        stands.map_or_else(|| v1::Budget { level: level.to_string(), ..v1::Budget::default() }, |it| message(&it));
    Ok(v1::SetBudgetResponse { budget: Some(budget), position: reply.position.0 })
}

/// What is to be set; none when that is kept, or the tenant's own word taken back.
fn limit(request: &v1::SetBudgetRequest) -> Result<Option<Limit>, Refusal> {
    let no_time = || refused_field("time", "must be at least 1 ms");
    let time = request.time.map(|time| of_message(time).ok_or_else(no_time)).transpose()?;
    let time_ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let then = if request.stops { Then::Stop } else { Then::Pause };
    let limit = Limit { tokens: request.tokens, cost: request.cost_micros, time_ms, then };
    match (limit.is_bound(), request.lift) {
        (true, true) => Err(refused_field("lift", "takes the budget back, and yet a bound is given")),
        (false, false) if !request.restart => {
            Err(refused_field("tokens", "one of `tokens`, `cost_micros`, `time`, `lift`, `restart` is expected"))
        }
        (false, _) => Ok(None),
        (true, false) => Ok(Some(limit)),
    }
}

fn address(caller: &Caller) -> Result<Address, Refusal> {
    budget::address(caller.tenant()).map_err(|error| Refusal::new("BDG-0011", ErrorKind::Internal, error.to_string()))
}

fn message(stands: &Stands) -> v1::Budget {
    let millis = |ms: u64| duration(Duration::from_millis(ms));
    v1::Budget {
        level: stands.level.to_string(),
        tokens: stands.limit.tokens,
        cost_micros: stands.limit.cost,
        time: stands.limit.time_ms.and_then(millis),
        stops: stands.limit.then == Then::Stop,
        is_own: stands.is_own,
        spent: Some(used(stands.account.spent)),
        reserved: Some(used(stands.account.reserved)),
        waited: millis(stands.account.time_ms),
        is_near: stands.account.warned,
    }
}

fn used(amount: Amount) -> v1::BudgetUse {
    v1::BudgetUse { tokens: amount.tokens, cost_micros: amount.cost }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_needs_a_bound_or_to_be_taken_back() {
        let request = |change: fn(&mut v1::SetBudgetRequest)| {
            let mut request = v1::SetBudgetRequest { level: "tenant".to_owned(), ..Default::default() };
            change(&mut request);
            limit(&request).map_err(|refusal| refusal.code)
        };
        assert!(request(|_| {}).is_err());
        assert_eq!(request(|request| request.lift = true), Ok(None));
        assert_eq!(request(|request| request.tokens = Some(5)).unwrap().unwrap().tokens, Some(5));
        assert!(request(|request| (request.tokens, request.lift) = (Some(5), true)).is_err());
        let time = |seconds| {
            move |request: &mut v1::SetBudgetRequest| {
                request.time = Some(prost_types::Duration { seconds, nanos: 0 });
            }
        };
        let mut late = v1::SetBudgetRequest::default();
        time(-1)(&mut late);
        assert!(limit(&late).is_err());
    }
}
