//! State machines: every state can be reached, every transition leads somewhere.

use std::collections::BTreeSet;

use super::Check;
use crate::blueprint::model::{Entity, States};
use crate::blueprint::names::Use;

impl Check<'_> {
    pub(super) fn machine(&mut self, entity: &Entity, at: &str) {
        let Some(states) = &entity.states else {
            return;
        };
        let at = format!("{at}/states");
        let names = entity.state_names();
        for (index, state) in states.values.iter().enumerate() {
            self.name(&state.name, Use::Word, &format!("{at}/values/{index}"));
            self.one_line(&state.title, &format!("{at}/values/{index}"));
        }
        self.distinct("state", &format!("{at}/values"), names.iter().copied(), "name");
        self.known("state", &states.initial, &names, &format!("{at}/initial"));
        for (index, transition) in states.transitions.iter().enumerate() {
            let at = format!("{at}/transitions/{index}");
            self.name(&transition.name, Use::Transition, &format!("{at}/name"));
            self.one_line(&transition.title, &format!("{at}/title"));
            for (place, from) in transition.from.iter().enumerate() {
                self.known("state", from, &names, &format!("{at}/from/{place}"));
            }
            self.known("state", &transition.to, &names, &format!("{at}/to"));
            self.known_roles(&transition.roles, &format!("{at}/roles"));
            if transition.from.contains(&transition.to) {
                let message = format!("`{}` leads from `{1}` to `{1}`", transition.name, transition.to);
                self.mistake(
                    &format!("{at}/to"),
                    message,
                    "a transition changes the state: remove the one or the other",
                );
            }
        }
        let transitions = states.transitions.iter();
        self.distinct(
            "transition",
            &format!("{at}/transitions"),
            transitions.map(|transition| transition.name.as_str()),
            "name",
        );
        self.reachable(states, &at);
    }

    fn reachable(&mut self, states: &States, at: &str) {
        let mut reached = BTreeSet::from([states.initial.as_str()]);
        loop {
            let before = reached.len();
            for transition in &states.transitions {
                if transition.from.iter().any(|from| reached.contains(from.as_str())) {
                    reached.insert(&transition.to);
                }
            }
            if reached.len() == before {
                break;
            }
        }
        for (index, state) in states.values.iter().enumerate() {
            if !state.name.is_empty() && !reached.contains(state.name.as_str()) {
                let message = format!("no record can reach the state `{}`", state.name);
                let help = format!("add a transition that leads `to: {}`, or remove it", state.name);
                self.mistake(&format!("{at}/values/{index}"), message, &help);
            }
        }
    }
}
