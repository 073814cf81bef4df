//! Budgets above tasks: on all levels or on none, whatever comes in whatever order, and whoever dies.

use std::collections::BTreeMap;

use mesh_skills::models::Amount;
use proptest::prelude::*;

use super::*;
use crate::budget::{
    Account, BudgetsDecider, Command as Order, Defaults, Error as No, Event as Happened, Ledger, Level, Limit, PAUSES,
    STOPS, Then,
};

/// The budgets of a tenant, with the log that their journal would hold.
struct Books {
    decider: BudgetsDecider,
    ledger: Ledger,
    log: Vec<(Payload, Timestamp)>,
    now: Timestamp,
}

impl Books {
    fn new(defaults: Defaults) -> Self {
        Self { decider: BudgetsDecider::new(defaults), ledger: Ledger::default(), log: Vec::new(), now: BEGIN }
    }

    fn send(&mut self, order: Order) -> Result<Vec<Happened>, No> {
        let wire = encode_tagged(&order, 1).unwrap();
        let order: Order = decode_tagged(&wire.name, &wire.bytes).unwrap();
        let cause = Cause {
            address: address(),
            event_id: EventId::parse("evt-1").unwrap(),
            at: self.now,
            principal: Principal { name: "ada".into(), roles: vec![Role::Admin], on_behalf_of: None },
            trace_id: TraceId::parse("trace-1").unwrap(),
            correlation_id: CorrelationId::parse("c-1").unwrap(),
            key: None,
            version: self.log.len() as u64,
        };
        let events = self.decider.decide(&self.ledger, order, &cause)?;
        for event in &events {
            let payload = encode_tagged(event, 1).unwrap();
            take(&self.decider, &mut self.ledger, &payload, self.now);
            self.log.push((payload, self.now));
        }
        self.is_rebuilt_the_same();
        Ok(events)
    }

    fn is_rebuilt_the_same(&self) {
        let mut replayed = Ledger::default();
        for (payload, at) in &self.log {
            take(&self.decider, &mut replayed, payload, *at);
        }
        assert_eq!(replayed, self.ledger, "replay differs from live");
        let restored: Ledger = serde_json::from_value(serde_json::to_value(&self.ledger).unwrap()).unwrap();
        assert_eq!(restored, self.ledger, "a snapshot loses something");
    }

    fn set(&mut self, level: &str, limit: Limit) {
        let level = level.parse().unwrap();
        self.send(Order::SetBudget { level, limit: Some(limit), keep: false, restart: false }).unwrap();
    }

    fn reserve(&mut self, key: &str, most: Amount) -> Result<Vec<Happened>, No> {
        let (project, run) = (Some("proj-1".to_owned()), Some("run-1".to_owned()));
        self.send(Order::ReserveBudget { key: key.to_owned(), project, run, most })
    }

    fn settle(&mut self, key: &str, took: Option<Amount>) -> Vec<Happened> {
        self.send(Order::SettleBudget { key: key.to_owned(), took }).unwrap()
    }

    fn account(&self, level: &str) -> Account {
        self.ledger.account(&level.parse().unwrap())
    }
}

fn address() -> Address {
    "acme/agent-mesh/budgets/all".parse().unwrap()
}

fn take(decider: &BudgetsDecider, ledger: &mut Ledger, payload: &Payload, at: Timestamp) {
    let event = decider.upcast(&payload.name, payload.schema_version, &payload.bytes).unwrap();
    let recorded = Recorded {
        address: &address(),
        event_id: &EventId::parse("evt-e").unwrap(),
        version: 1,
        at,
        principal: &Principal::system("test"),
        trace_id: &TraceId::parse("trace-1").unwrap(),
        correlation_id: &CorrelationId::parse("c-1").unwrap(),
    };
    decider.evolve(ledger, event, &recorded);
}

fn tokens(tokens: u64) -> Limit {
    Limit { tokens: Some(tokens), ..Limit::default() }
}

fn amount(tokens: u64, cost: u64) -> Amount {
    Amount { tokens, cost }
}

#[test]
fn a_call_is_reserved_on_all_levels_or_on_none() {
    let mut books = Books::new(Defaults::default());
    books.set("tenant", tokens(1_000));
    books.set("run/run-1", tokens(100));
    books.reserve("a", amount(90, 0)).unwrap();
    let refused = books.reserve("b", amount(20, 0)).unwrap_err();
    assert!(matches!(&refused, No::Spent { level: Level::Run(run), .. } if run == "run-1"), "{refused}");
    for level in ["tenant", "project/proj-1", "run/run-1"] {
        assert_eq!(books.account(level).used(), amount(90, 0), "{level}");
    }
    books.settle("a", Some(amount(30, 7)));
    for level in ["tenant", "project/proj-1", "run/run-1"] {
        let account = books.account(level);
        assert_eq!((account.spent, account.reserved), (amount(30, 7), Amount::default()), "{level}");
    }
    books.reserve("b", amount(20, 0)).unwrap();
    books.settle("b", None);
    assert_eq!(books.account("tenant").spent, amount(50, 7), "what nobody knows counts as it was reserved");
}

#[test]
fn the_same_call_is_reserved_and_settled_once() {
    let mut books = Books::new(Defaults { tenant: tokens(100), ..Defaults::default() });
    books.reserve("a", amount(60, 0)).unwrap();
    assert_eq!(books.reserve("a", amount(60, 0)).unwrap(), [], "asked again after a crash");
    assert_eq!(books.settle("a", Some(amount(10, 0))).len(), 1);
    assert_eq!(books.settle("a", None), [], "settled twice");
    assert_eq!(books.settle("never", None), []);
    assert_eq!(books.account("tenant").used(), amount(10, 0));
}

#[test]
fn a_budget_warns_once_then_pauses_or_stops_and_goes_on_when_it_is_raised() {
    for (then, code) in [(Then::Pause, PAUSES), (Then::Stop, STOPS)] {
        let mut books = Books::new(Defaults::default());
        books.set("project/proj-1", Limit { then, ..tokens(100) });
        let neared = |events: Vec<Happened>| events.iter().any(|event| matches!(event, Happened::BudgetNeared { .. }));
        assert!(!neared(books.reserve("a", amount(70, 0)).unwrap()));
        assert!(neared(books.reserve("b", amount(10, 0)).unwrap()), "four fifths");
        assert!(!neared(books.reserve("c", amount(10, 0)).unwrap()), "told once");
        let refused = books.reserve("d", amount(11, 0)).unwrap_err();
        assert_eq!(mesh_kernel::envelope::Refuse::code(&refused), code);
        assert!(refused.to_string().contains("of 100 are 10 left"), "{refused}");
        books.set("project/proj-1", tokens(200));
        books.reserve("d", amount(11, 0)).unwrap();
    }
}

#[test]
fn cost_and_time_are_bounds_too_and_a_budget_can_begin_anew() {
    let mut books = Books::new(Defaults::default());
    books.set("tenant", Limit { cost: Some(100), time_ms: Some(5_000), ..Limit::default() });
    assert!(books.reserve("a", amount(1, 101)).is_err());
    books.reserve("a", amount(1, 50)).unwrap();
    books.now = books.now.plus(Duration::from_secs(6));
    books.settle("a", Some(amount(1, 50)));
    let refused = books.reserve("b", amount(1, 1)).unwrap_err();
    assert!(refused.to_string().contains("6000 ms"), "{refused}");
    let limit = Some(Limit { cost: Some(100), ..Limit::default() });
    books.send(Order::SetBudget { level: Level::Tenant, limit, keep: false, restart: true }).unwrap();
    assert_eq!(books.account("tenant").spent, Amount::default());
    books.reserve("b", amount(1, 100)).unwrap();
    books.settle("b", None);
    books.send(Order::SetBudget { level: Level::Tenant, limit: None, keep: true, restart: true }).unwrap();
    assert!(books.reserve("c", amount(1, 101)).is_err(), "the bound was kept");
    let nothing = Order::SetBudget { level: Level::Tenant, limit: Some(tokens(0)), keep: false, restart: false };
    assert!(matches!(books.send(nothing), Err(No::Nothing { .. })));
}

#[test]
fn a_task_whose_call_was_withheld_has_spent_nothing_and_waits_or_fails() {
    let mut sim = Sim::begun(CLERK, json!({}));
    let withheld = |stops| ModelResult::Withheld { message: "the budget of tenant is spent".to_owned(), stops };
    assert_eq!(sim.model(withheld(false)), ["ModelCallWithheld", "BudgetExhausted"]);
    assert_eq!((sim.task.spent.tokens(), sim.task.spent.model_calls), (0, 0));
    let names = sim.send(Command::ResumeTask { tokens: 0, cost: 0 }).unwrap();
    assert_eq!(names, ["TaskResumed", "ModelCallRequested"]);
    let asks = sim.asks();
    assert_eq!(asks.attempt, 2, "under a name of its own");
    assert_eq!((asks.run.as_str(), asks.project.as_str()), ("run-1", "proj-1"));
    assert_eq!(sim.model(withheld(true)), ["ModelCallWithheld", "AgentTaskFailed"]);
    assert_eq!(sim.task.failure.as_ref().unwrap().code, "agent.budget");
}

#[test]
fn what_was_withheld_is_no_attempt_at_an_answer() {
    let mut sim = Sim::begun(&format!("{CLERK}limits: {{ attempts: 2 }}\n"), json!({}));
    for _ in 0..3 {
        sim.model(ModelResult::Withheld { message: "spent".to_owned(), stops: false });
        sim.send(Command::ResumeTask { tokens: 0, cost: 0 }).unwrap();
    }
    assert_eq!(sim.fails(Fault::Connect, 1), ["ModelCallFailed"], "one attempt is left");
    sim.fire("answer");
    assert_eq!(sim.fails(Fault::Connect, 1), ["ModelCallFailed", "AgentTaskFailed"]);
}

/// A call as the world knows it.
#[derive(Clone, Copy)]
struct Sent {
    most: Amount,
    /// The node died after it was sent, so nobody will say what it took.
    lost: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_level_is_ever_over_by_more_than_calls_took_beyond_what_was_reserved(
        choices in prop::collection::vec((any::<u16>(), 0_u64..120, 0_u64..60), 1..120),
        limits in (100_u64..600, 100_u64..500, 50_u64..400),
    ) {
        let mut books = Books::new(Defaults { project: tokens(limits.1), run: tokens(limits.2), ..Defaults::default() });
        books.set("tenant", Limit { cost: Some(limits.0), ..tokens(limits.0) });
        let bounds = [limits.0, limits.1, limits.1, limits.2, limits.2, limits.2];
        let levels = ["tenant", "project/p-0", "project/p-1", "run/r-0", "run/r-1", "run/r-2"];
        let mut sent: BTreeMap<String, Sent> = BTreeMap::new();
        let mut beyond = 0_u64;
        for (at, (choice, size, took)) in choices.into_iter().enumerate() {
            books.now = books.now.plus(Duration::from_millis(u64::from(choice % 50)));
            let chosen = sent.keys().nth(usize::from(choice / 8) % sent.len().max(1)).cloned();
            match (choice % 8, chosen) {
                // A crash: what was sent goes on somewhere, and nobody here knows of it.
                (0, _) => sent.values_mut().for_each(|call| call.lost = true),
                (1..=3, Some(key)) => {
                    let call = sent.remove(&key).unwrap();
                    let took = (!call.lost).then(|| amount(took, took));
                    beyond += took.map_or(0, |took| took.tokens.saturating_sub(call.most.tokens));
                    prop_assert_eq!(books.settle(&key, took).len(), 1);
                }
                // Asked for again by the next life.
                (4, Some(key)) => {
                    let most = sent.get(&key).unwrap().most;
                    let again = Order::ReserveBudget { key, project: None, run: None, most };
                    prop_assert_eq!(books.send(again).unwrap(), []);
                }
                _ => {
                    let before = books.ledger.clone();
                    let most = amount(size, size);
                    let (project, run) = (Some(format!("p-{}", choice % 2)), Some(format!("r-{}", choice % 3)));
                    let key = format!("call-{at}");
                    match books.send(Order::ReserveBudget { key: key.clone(), project, run, most }) {
                        Ok(_) => drop(sent.insert(key, Sent { most, lost: false })),
                        Err(_) => prop_assert_eq!(&before, &books.ledger, "a refusal reserves nothing"),
                    }
                }
            }
            let open: u64 = sent.values().map(|call| call.most.tokens).sum();
            prop_assert_eq!(books.account("tenant").reserved.tokens, open);
            let sum = |range: std::ops::Range<usize>| -> u64 {
                levels.get(range).unwrap().iter().map(|level| books.account(level).used().tokens).sum()
            };
            prop_assert_eq!(sum(0..1), sum(1..3), "every call counts for a project");
            prop_assert_eq!(sum(0..1), sum(3..6), "and for a run");
            for (level, bound) in levels.iter().zip(bounds) {
                let used = books.account(level).used().tokens;
                prop_assert!(used <= bound + beyond, "{} has used {} of {}", level, used, bound);
            }
        }
    }
}
