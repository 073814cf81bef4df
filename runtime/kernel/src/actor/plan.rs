//! The supervisor's plan: which children to stop and start after one of them ended. Pure.
//!
//! The glue in `supervisor.rs` does what the plan says and tells it what happened; the plan knows no
//! actor, no clock and no chance but what it is handed.

use std::time::Duration;

use super::restart::{Cause, Chance, Failures, RestartPolicy};

/// Which children are started again when one failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// That one.
    OneForOne,
    /// All of them: the others are stopped first, last started first.
    OneForAll,
    /// That one and those that were started after it.
    RestForOne,
}

/// Whether a child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always, unless it was asked to stop.
    Permanent,
    /// After a failure.
    Transient,
    /// Never.
    Temporary,
}

/// What the glue is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Stop this child; tell when it ended.
    Stop(usize),
    /// After this delay ask [`Plan::due`] with this number, and start who it names.
    Start { after: Duration, epoch: u64 },
    /// The stop that was asked for is complete.
    Stopped,
    /// Too many failures: all children are down, end with this cause.
    GiveUp(Cause),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Running,
    Stopping,
    /// Down, and not to be started.
    Down,
    /// Down, to be started when this epoch is due.
    Waiting(u64),
    /// Killed, and still there.
    Wedged,
}

#[derive(Debug, Clone)]
struct Child {
    restart: Restart,
    presence: Presence,
    streak: u32,
}

/// Children that are being stopped, last started first, and what comes after.
#[derive(Debug, Clone)]
struct Stopping {
    stop: Vec<usize>,
    then: Then,
}

#[derive(Debug, Clone)]
enum Then {
    Start { who: Vec<usize>, after: Duration },
    Stopped,
    GiveUp(Cause),
}

/// The plan of one supervisor.
#[derive(Debug)]
pub(super) struct Plan {
    strategy: Strategy,
    policy: RestartPolicy,
    children: Vec<Child>,
    failures: Failures,
    stopping: Option<Stopping>,
    epoch: u64,
    chance: Chance,
}

impl Plan {
    pub(super) fn new(strategy: Strategy, policy: RestartPolicy, seed: u64) -> Self {
        Self {
            strategy,
            policy,
            children: Vec::new(),
            failures: Failures::default(),
            stopping: None,
            epoch: 0,
            chance: Chance::new(seed),
        }
    }

    /// One more child, the last in the order of starting.
    pub(super) fn add(&mut self, restart: Restart) -> Vec<Action> {
        let id = self.children.len();
        self.children.push(Child { restart, presence: Presence::Down, streak: 0 });
        match &mut self.stopping {
            None => self.start(vec![id], Duration::ZERO),
            // It is started with the others, or not at all when everything stops.
            Some(Stopping { then: Then::Start { who, .. }, .. }) => {
                who.push(id);
                Vec::new()
            }
            Some(_) => Vec::new(),
        }
    }

    /// How many children there are.
    pub(super) fn len(&self) -> usize {
        self.children.len()
    }

    /// Who is to be started now that this epoch is due; they count as running from here on.
    pub(super) fn due(&mut self, epoch: u64) -> Vec<usize> {
        let mut due = Vec::new();
        for (id, child) in self.children.iter_mut().enumerate() {
            if child.presence == Presence::Waiting(epoch) {
                child.presence = Presence::Running;
                due.push(id);
            }
        }
        due
    }

    /// A child has ended.
    pub(super) fn on_exit(&mut self, id: usize, cause: &Cause, now: Duration) -> Vec<Action> {
        let Some(child) = self.children.get_mut(id) else {
            return Vec::new();
        };
        let was = std::mem::replace(&mut child.presence, Presence::Down);
        if was == Presence::Stopping || was == Presence::Wedged {
            return self.stopped(id, was);
        }
        if !wants_restart(child.restart, cause) {
            return self.stopped(id, was);
        }
        let counts = cause.is_failure() || *cause == Cause::Normal;
        if counts && self.failures.exceed(self.policy.intensity, now) {
            return self.stop_children(|_| true, Then::GiveUp(cause.clone()));
        }
        let after = self.delay(id);
        self.again(id, after)
    }

    /// A child that was running does well: its next failure is the first of a row.
    pub(super) fn on_progress(&mut self, id: usize) {
        if let Some(child) = self.children.get_mut(id) {
            child.streak = 0;
        }
    }

    /// A killed child does not end: nobody waits for it, and it is not started again.
    pub(super) fn on_wedged(&mut self, id: usize) -> Vec<Action> {
        if let Some(child) = self.children.get_mut(id) {
            child.presence = Presence::Wedged;
        }
        if let Some(Stopping { then: Then::Start { who, .. }, .. }) = &mut self.stopping {
            who.retain(|other| *other != id);
        }
        self.next_stop()
    }

    /// Stops the children that `which` names, last started first.
    pub(super) fn stop(&mut self, which: impl Fn(usize) -> bool) -> Vec<Action> {
        for (id, child) in self.children.iter_mut().enumerate() {
            if which(id) {
                child.restart = Restart::Temporary;
                if matches!(child.presence, Presence::Waiting(_)) {
                    child.presence = Presence::Down;
                }
            }
        }
        self.stop_children(which, Then::Stopped)
    }

    fn delay(&mut self, id: usize) -> Duration {
        let streak = self.children.get_mut(id).map_or(0, |child| {
            child.streak = child.streak.saturating_add(1);
            child.streak - 1
        });
        self.policy.backoff.delay(streak, &mut self.chance)
    }

    fn again(&mut self, id: usize, after: Duration) -> Vec<Action> {
        let strategy = self.strategy;
        let mut who: Vec<usize> = (0..self.children.len())
            .filter(|other| match strategy {
                Strategy::OneForOne => *other == id,
                Strategy::OneForAll => true,
                Strategy::RestForOne => *other >= id,
            })
            .filter(|other| *other == id || self.is_in_play(*other))
            .collect();
        match &mut self.stopping {
            Some(Stopping { then: Then::Start { who: already, after: longest }, .. }) => {
                already.append(&mut who);
                already.sort_unstable();
                already.dedup();
                *longest = (*longest).max(after);
                let scope = already.clone();
                self.extend_stop(&scope);
                self.next_stop()
            }
            // Everything stops anyway.
            Some(_) => self.stopped(id, Presence::Running),
            None => {
                let scope = who.clone();
                self.stop_children(|other| scope.contains(&other), Then::Start { who, after })
            }
        }
    }

    fn is_running(&self, id: usize) -> bool {
        self.children.get(id).is_some_and(|child| child.presence == Presence::Running)
    }

    /// Running, or about to be.
    fn is_in_play(&self, id: usize) -> bool {
        self.children.get(id).is_some_and(|child| {
            matches!(child.presence, Presence::Running | Presence::Stopping | Presence::Waiting(_))
        })
    }

    fn start(&mut self, who: Vec<usize>, after: Duration) -> Vec<Action> {
        self.epoch += 1;
        let epoch = self.epoch;
        for id in who {
            if let Some(child) = self.children.get_mut(id) {
                child.presence = Presence::Waiting(epoch);
            }
        }
        vec![Action::Start { after, epoch }]
    }

    fn stop_children(&mut self, which: impl Fn(usize) -> bool, then: Then) -> Vec<Action> {
        let stop =
            (0..self.children.len()).filter(|id| which(*id) && self.is_in_play(*id) && !self.is_waiting(*id)).collect();
        self.stopping = Some(Stopping { stop, then });
        self.next_stop()
    }

    fn is_waiting(&self, id: usize) -> bool {
        self.children.get(id).is_some_and(|child| matches!(child.presence, Presence::Waiting(_)))
    }

    fn extend_stop(&mut self, scope: &[usize]) {
        let more: Vec<_> = scope.iter().copied().filter(|id| self.is_running(*id)).collect();
        if let Some(stopping) = &mut self.stopping {
            stopping.stop.extend(more);
            stopping.stop.sort_unstable();
            stopping.stop.dedup();
        }
    }

    fn stopped(&mut self, id: usize, was: Presence) -> Vec<Action> {
        let restart = self.children.get(id).map(|child| child.restart);
        // It ended after all: its place is free again.
        let freed = was == Presence::Wedged && restart.is_some_and(|it| it != Restart::Temporary);
        match &mut self.stopping {
            Some(stopping) => {
                stopping.stop.retain(|other| *other != id);
                if let (true, Then::Start { who, .. }) = (freed, &mut stopping.then) {
                    who.push(id);
                }
                self.next_stop()
            }
            None if freed => self.start(vec![id], Duration::ZERO),
            None => Vec::new(),
        }
    }

    /// The next child to stop, unless one is being stopped; what follows when all are down.
    fn next_stop(&mut self) -> Vec<Action> {
        let Some(stopping) = &mut self.stopping else {
            return Vec::new();
        };
        let children = &mut self.children;
        stopping.stop.retain(|id| {
            let presence = children.get(*id).map(|child| child.presence);
            matches!(presence, Some(Presence::Running | Presence::Stopping))
        });
        let busy =
            stopping.stop.iter().any(|id| children.get(*id).is_some_and(|child| child.presence == Presence::Stopping));
        if busy {
            return Vec::new();
        }
        if let Some(id) = stopping.stop.last().copied() {
            if let Some(child) = children.get_mut(id) {
                child.presence = Presence::Stopping;
            }
            return vec![Action::Stop(id)];
        }
        match self.stopping.take().map(|stopping| stopping.then) {
            Some(Then::Start { who, after }) => self.start(who, after),
            Some(Then::Stopped) => vec![Action::Stopped],
            Some(Then::GiveUp(cause)) => vec![Action::GiveUp(cause)],
            None => Vec::new(),
        }
    }
}

fn wants_restart(restart: Restart, cause: &Cause) -> bool {
    match (restart, cause) {
        (Restart::Temporary, _) | (_, Cause::Asked | Cause::Undecodable { .. }) => false,
        (Restart::Permanent, _) => true,
        (Restart::Transient, cause) => *cause != Cause::Normal,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::actor::restart::{Backoff, Intensity};

    const POLICY: RestartPolicy = RestartPolicy {
        intensity: Intensity { most: 3, within: Duration::from_secs(30) },
        backoff: Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(60) },
    };

    fn failed() -> Cause {
        Cause::Failed(Arc::from("why"))
    }

    /// A plan with running children, one for each letter: p(ermanent), t(ransient), o(nce).
    fn running(strategy: Strategy, children: &str) -> Plan {
        let mut plan = Plan::new(strategy, POLICY, 1);
        for letter in children.chars() {
            let restart = match letter {
                'p' => Restart::Permanent,
                't' => Restart::Transient,
                _ => Restart::Temporary,
            };
            let actions = plan.add(restart);
            assert_eq!(started(&mut plan, &actions).len(), 1);
        }
        plan
    }

    fn started(plan: &mut Plan, actions: &[Action]) -> Vec<usize> {
        match actions {
            [Action::Start { epoch, .. }] => plan.due(*epoch),
            other => panic!("{other:?} starts nobody"),
        }
    }

    /// What happens after one child failed, as text: `-2` stopped, `+1` started.
    fn run(plan: &mut Plan, id: usize, cause: &Cause) -> String {
        let mut log = Vec::new();
        let mut actions = plan.on_exit(id, cause, Duration::ZERO);
        while let Some(action) = actions.pop() {
            match action {
                Action::Stop(id) => {
                    log.push(format!("-{id}"));
                    actions = plan.on_exit(id, &Cause::Asked, Duration::ZERO);
                }
                Action::Start { epoch, .. } => {
                    log.extend(plan.due(epoch).iter().map(|id| format!("+{id}")));
                }
                Action::Stopped => log.push("stopped".to_owned()),
                Action::GiveUp(_) => log.push("gives up".to_owned()),
            }
        }
        log.join(" ")
    }

    #[test]
    fn plan_tables() {
        use Strategy::{OneForAll, OneForOne, RestForOne};
        let retry = Cause::Retry(Arc::from("journal"));
        let table: &[(Strategy, &str, usize, Cause, &str)] = &[
            // One for one: nobody else is touched.
            (OneForOne, "ppp", 1, failed(), "+1"),
            (OneForOne, "ppp", 1, Cause::Panicked(Arc::from("p")), "+1"),
            (OneForOne, "ppp", 1, Cause::Killed, "+1"),
            (OneForOne, "ppp", 1, Cause::Deadline, "+1"),
            (OneForOne, "ppp", 1, Cause::Vanished, "+1"),
            (OneForOne, "ppp", 1, Cause::StartFailed(Arc::from("s")), "+1"),
            (OneForOne, "ppp", 1, retry.clone(), "+1"),
            (OneForOne, "ppp", 1, Cause::Normal, "+1"),
            (OneForOne, "ppp", 1, Cause::Asked, ""),
            // Transient: only after a failure. Temporary: never.
            (OneForOne, "ptp", 1, Cause::Normal, ""),
            (OneForOne, "ptp", 1, Cause::Asked, ""),
            (OneForOne, "ptp", 1, failed(), "+1"),
            (OneForOne, "pop", 1, failed(), ""),
            // One for all: the others are stopped in reverse, all are started in order.
            (OneForAll, "pppp", 1, failed(), "-3 -2 -0 +0 +1 +2 +3"),
            (OneForAll, "pppp", 1, Cause::Asked, ""),
            (OneForAll, "p", 0, failed(), "+0"),
            // Rest for one: those after it.
            (RestForOne, "pppp", 1, failed(), "-3 -2 +1 +2 +3"),
            (RestForOne, "pppp", 3, failed(), "+3"),
            (RestForOne, "pppp", 0, failed(), "-3 -2 -1 +0 +1 +2 +3"),
            (RestForOne, "pppp", 2, Cause::Normal, "-3 +2 +3"),
        ];
        for (strategy, children, id, cause, expected) in table {
            let mut plan = running(*strategy, children);
            let told = run(&mut plan, *id, cause);
            assert_eq!(told, *expected, "{strategy:?} {children} {id} {cause}");
        }
    }

    #[test]
    fn one_failure_too_many_stops_all_in_reverse_and_gives_up() {
        let mut plan = running(Strategy::OneForOne, "ppp");
        for _ in 0..3 {
            assert_eq!(run(&mut plan, 1, &failed()), "+1");
        }
        assert_eq!(run(&mut plan, 1, &failed()), "-2 -0 gives up");
    }

    #[test]
    fn failures_that_are_long_ago_are_forgiven() {
        let mut plan = running(Strategy::OneForOne, "p");
        for n in 0..50 {
            let actions = plan.on_exit(0, &failed(), Duration::from_secs(n * 11));
            assert_eq!(started(&mut plan, &actions), [0], "failure {n}");
        }
    }

    #[test]
    fn waiting_for_something_else_never_gives_up() {
        let mut plan = running(Strategy::OneForOne, "p");
        for _ in 0..50 {
            assert_eq!(run(&mut plan, 0, &Cause::Retry(Arc::from("journal"))), "+0");
        }
    }

    #[test]
    fn the_delay_grows_with_each_failure_in_a_row_and_begins_anew_after_progress() {
        let mut plan = running(Strategy::OneForOne, "p");
        let retry = Cause::Retry(Arc::from("journal"));
        let mut delays = Vec::new();
        for _ in 0..12 {
            let actions = plan.on_exit(0, &retry, Duration::ZERO);
            let [Action::Start { after, epoch }] = actions[..] else { panic!("{actions:?}") };
            delays.push(after);
            plan.due(epoch);
        }
        assert_eq!(delays[0], Duration::ZERO);
        assert!(delays.iter().max().unwrap() > &Duration::from_secs(5), "{delays:?}");
        plan.on_progress(0);
        let actions = plan.on_exit(0, &retry, Duration::ZERO);
        assert!(matches!(actions[..], [Action::Start { after: Duration::ZERO, .. }]));
    }

    #[test]
    fn a_second_failure_while_the_others_stop_widens_the_plan() {
        let mut plan = running(Strategy::RestForOne, "pppp");
        // 2 failed: 3 is being stopped. Then 1 fails by itself.
        let actions = plan.on_exit(2, &failed(), Duration::ZERO);
        assert_eq!(actions, [Action::Stop(3)]);
        assert_eq!(plan.on_exit(1, &failed(), Duration::ZERO), []);
        let actions = plan.on_exit(3, &Cause::Asked, Duration::ZERO);
        assert_eq!(started(&mut plan, &actions), [1, 2, 3]);
    }

    #[test]
    fn a_start_that_was_overtaken_starts_nobody_twice() {
        let mut plan = running(Strategy::OneForAll, "pp");
        let first = plan.on_exit(0, &failed(), Duration::ZERO);
        assert_eq!(first, [Action::Stop(1)]);
        let waiting = plan.on_exit(1, &Cause::Asked, Duration::ZERO);
        let [Action::Start { epoch: old, .. }] = waiting[..] else { panic!("{waiting:?}") };
        // Before it is due, everything is asked to stop.
        assert_eq!(plan.stop(|_| true), [Action::Stopped]);
        assert_eq!(plan.due(old), [] as [usize; 0]);
    }

    #[test]
    fn a_wedged_child_is_not_waited_for_and_not_started_until_it_ended() {
        let mut plan = running(Strategy::OneForAll, "ppp");
        assert_eq!(plan.on_exit(0, &failed(), Duration::ZERO), [Action::Stop(2)]);
        assert_eq!(plan.on_wedged(2), [Action::Stop(1)]);
        let actions = plan.on_exit(1, &Cause::Asked, Duration::ZERO);
        assert_eq!(started(&mut plan, &actions), [0, 1]);
        let late = plan.on_exit(2, &Cause::Killed, Duration::ZERO);
        assert_eq!(started(&mut plan, &late), [2]);
    }

    #[test]
    fn a_stop_goes_from_the_last_to_the_first_and_nobody_comes_back() {
        let mut plan = running(Strategy::OneForOne, "ppp");
        assert_eq!(plan.stop(|id| id > 0), [Action::Stop(2)]);
        // One fails on the way: it is not started again.
        assert_eq!(plan.on_exit(1, &failed(), Duration::ZERO), []);
        assert_eq!(plan.on_exit(2, &Cause::Asked, Duration::ZERO), [Action::Stopped]);
        assert_eq!(plan.stop(|_| true), [Action::Stop(0)]);
        assert_eq!(plan.on_exit(0, &Cause::Asked, Duration::ZERO), [Action::Stopped]);
    }
}
