//! A product without a domain.

use saas_spine::{Edition, Product, Role};

/// It can be signed up to, and nothing else.
pub static PRODUCT: Product = Product {
    name: "seed",
    title: "Seed",
    description: "Nothing but the spine.",
    tenant_noun: "company",
    roles: &[Role { name: "admin", title: "Administrator", description: "manages people, plan and data" }],
    editions: &[Edition { name: "free", title: "Free", price: "0", description: "The only one.", limits: &[] }],
    entities: &[],
    routes: |_| {},
    samples: &[],
    demo: &[],
};
