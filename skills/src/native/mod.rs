//! The native skills: Rust in this process. Each is one file, one line here, and its own examples.
//!
//! The general ones need nothing; those that make a product share a [`Workshop`].
//!
//! Never here: how git, cargo or a process is driven ([`crate::product`]), or what a blueprint means
//! ([`crate::blueprint`]).

mod flow_fail;
mod http_post;
mod text_echo;
mod time_sleep;

use std::sync::Arc;

use crate::contract::Skill;

/// The skills that need nothing around them.
pub fn general() -> Vec<Arc<dyn Skill>> {
    vec![
        Arc::new(flow_fail::FlowFail::default()),
        Arc::new(http_post::HttpPost::default()),
        Arc::new(text_echo::TextEcho::default()),
        Arc::new(time_sleep::TimeSleep::default()),
    ]
}

#[cfg(test)]
mod tests;
