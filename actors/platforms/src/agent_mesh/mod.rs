//! Agent Mesh: who does the work that a run asks for.
//!
//! **For**: what a step gives to an agent becomes a task, and the end of the task becomes the end of the step.
//!
//! **Owns** nothing here: agents and their tasks are entities of the agents' crate, skills of the skills' crate.
//! This room is where a run and a task hear of each other.
//!
//! **Never** does it ask a model or call a skill: a task wants that, and performers do it.

pub mod reactions;
