//! The native skills: Rust in this process. Each is one file, one line here, and its own examples.
//!
//! The general ones need nothing; those that make a product share a [`Workshop`].
//!
//! Never here: how git, cargo or a process is driven ([`crate::product`]), or what a blueprint means
//! ([`crate::blueprint`]).

mod blueprint_check;
mod blueprint_validate;
mod checkout;
mod flow_fail;
mod http_post;
mod knowledge_context;
mod product_build;
mod product_clean;
mod product_probe;
mod product_smoke;
mod product_start;
mod product_stop;
mod product_test;
mod repository_commit;
mod rule_check;
mod rule_place;
mod rule_test;
mod sentences;
mod template_render;
mod text_echo;
mod time_sleep;
mod value_pass;
mod workshop;

use std::sync::Arc;

use crate::contract::{Contexts, Skill};

pub use workshop::{Needs, Workshop};

/// Every native skill, with a workshop of its own.
pub fn skills(needs: Needs) -> Vec<Arc<dyn Skill>> {
    with_workshop(&Workshop::new(needs))
}

/// Every native skill, in a workshop that the caller keeps: to start the seed early, and to stop it.
pub fn with_workshop(workshop: &Arc<Workshop>) -> Vec<Arc<dyn Skill>> {
    let mut skills = general();
    skills.extend(of_products(workshop));
    skills
}

/// The skills that find what the tenant has read.
pub fn of_knowledge(contexts: &Arc<dyn Contexts>) -> Vec<Arc<dyn Skill>> {
    vec![
        Arc::new(knowledge_context::KnowledgeContext::inside(contexts.clone())),
        Arc::new(knowledge_context::KnowledgeContext::anywhere(contexts.clone())),
    ]
}

/// The skills that need nothing around them.
pub fn general() -> Vec<Arc<dyn Skill>> {
    vec![
        Arc::new(blueprint_check::BlueprintCheck::default()),
        Arc::new(flow_fail::FlowFail::default()),
        Arc::new(http_post::HttpPost::default()),
        Arc::new(product_probe::ProductProbe::default()),
        text_echo::skill(),
        time_sleep::skill(),
        Arc::new(value_pass::ValuePass::default()),
    ]
}

/// The skills that make a product.
fn of_products(workshop: &Arc<Workshop>) -> Vec<Arc<dyn Skill>> {
    let shop = || workshop.clone();
    vec![
        Arc::new(blueprint_validate::BlueprintValidate::new(shop())),
        Arc::new(template_render::TemplateRender::new(shop())),
        Arc::new(rule_check::RuleCheck::new(shop())),
        Arc::new(rule_test::RuleTest::new(shop())),
        Arc::new(rule_place::RulePlace::new(shop())),
        Arc::new(repository_commit::RepositoryCommit::new(shop())),
        Arc::new(product_build::ProductBuild::new(shop())),
        Arc::new(product_test::ProductTest::new(shop())),
        Arc::new(product_start::ProductStart::new(shop())),
        Arc::new(product_smoke::ProductSmoke::new(shop())),
        Arc::new(product_stop::ProductStop::new(shop())),
        Arc::new(product_clean::ProductClean::new(shop())),
    ]
}

#[cfg(test)]
mod tests;
