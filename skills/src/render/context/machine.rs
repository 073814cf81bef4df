//! An entity's state machine as its files need it.

use serde::Serialize;

use super::entity::literals;
use super::field::{ChoiceContext, choice};
use crate::blueprint::{Entity, States};
use crate::render::words::pascal;

/// States and transitions; all empty when the entity has none.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    states: Vec<ChoiceContext>,
    states_in_order: Vec<ChoiceContext>,
    state_variants: Vec<String>,
    initial: String,
    initial_name: String,
    transitions: Vec<TransitionContext>,
    transition_variants: Vec<String>,
    first_transition: bool,
}

#[derive(Clone, Debug, Serialize)]
struct TransitionContext {
    name: String,
    title: String,
    variant: String,
    from: Vec<String>,
    from_variants: Vec<String>,
    to: String,
    to_variant: String,
    roles: Vec<String>,
}

impl Machine {
    pub(super) fn of(entity: &Entity) -> Self {
        let states: Vec<ChoiceContext> =
            entity.states.iter().flat_map(|states| states.values.iter().map(choice)).collect();
        let transitions: Vec<TransitionContext> = entity.states.iter().flat_map(transitions).collect();
        let initial_name = entity.states.as_ref().map_or(String::new(), |states| states.initial.clone());
        Self {
            states_in_order: in_order(&states, &initial_name),
            state_variants: states.iter().map(|state| format!("Self::{}", state.variant)).collect(),
            initial: pascal(&initial_name),
            initial_name,
            transition_variants: transitions.iter().map(|one| format!("Self::{}", one.variant)).collect(),
            first_transition: !transitions.is_empty(),
            states,
            transitions,
        }
    }
}

/// The initial state first, as the spine expects it.
fn in_order(states: &[ChoiceContext], initial: &str) -> Vec<ChoiceContext> {
    let (mut first, rest): (Vec<_>, Vec<_>) = states.iter().cloned().partition(|state| state.name == initial);
    first.extend(rest);
    first
}

fn transitions(states: &States) -> Vec<TransitionContext> {
    let transitions = states.transitions.iter();
    transitions
        .map(|transition| TransitionContext {
            name: transition.name.clone(),
            title: transition.title.clone(),
            variant: pascal(&transition.name),
            from: literals(&transition.from),
            from_variants: transition.from.iter().map(|from| pascal(from)).collect(),
            to: transition.to.clone(),
            to_variant: pascal(&transition.to),
            roles: literals(&transition.roles),
        })
        .collect()
}
