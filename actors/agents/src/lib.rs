//! Agents: their definitions, and the tasks that they are given.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`budget`] | what runs, projects and a tenant may spend on models, as one entity |
//! | [`definition`] | what an agent is: instructions, model, skills, limits; read and checked |
//! | [`catalogue`] | a tenant's published agents, as one entity that holds their versions |
//! | [`context`] | what a task needs to know before it begins, and who looks it up |
//! | [`task`] | one task of an agent, as a durable entity |
//!
//! INVARIANT: but for the performer in [`context`], nothing here does I/O, reads a clock or draws a random number.
//!
//! Never here: the name of a workflow. A task knows whom to tell by address alone.

pub mod budget;
pub mod catalogue;
pub mod context;
pub mod definition;
pub mod task;

#[cfg(test)]
mod tests;
