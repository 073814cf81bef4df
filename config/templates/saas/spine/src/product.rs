//! What a product is: the one value that its own crate hands to the spine.

use crate::demo::Samples;
use crate::entity::Entity;
use crate::web::Routes;

/// A product, as its domain crate describes it.
#[derive(Debug)]
pub struct Product {
    /// Its name in file names and addresses.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is for, in a sentence or two.
    pub description: &'static str,
    /// What a tenant is called: `company`.
    pub tenant_noun: &'static str,
    /// The roles; whoever signs up has the first.
    pub roles: &'static [Role],
    /// The plans from the smallest to the largest; a new tenant has the first.
    pub editions: &'static [Edition],
    /// The kinds of records, in the order of the navigation.
    pub entities: &'static [&'static Entity],
    /// Adds the routes of the domain.
    pub routes: fn(&mut Routes),
    /// The sample rows, in an order in which each names only earlier ones.
    pub samples: &'static [Samples],
    /// The tenants that `--seed-demo` makes.
    pub demo: &'static [Demo],
}

/// What a person may be in a tenant.
#[derive(Debug)]
pub struct Role {
    /// Its name in code and files.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
}

/// A plan.
#[derive(Debug)]
pub struct Edition {
    /// Its name in code and files.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it costs, as shown.
    pub price: &'static str,
    /// What it is good for.
    pub description: &'static str,
    /// What it bounds; what is not named here has no bound.
    pub limits: &'static [Limit],
}

/// A bound of a plan.
#[derive(Debug)]
pub struct Limit {
    /// `users`, or the name of an entity.
    pub of: &'static str,
    /// How many there may be.
    pub most: u32,
}

/// A tenant to try the product with, and its first person.
#[derive(Debug)]
pub struct Demo {
    /// Name of the tenant.
    pub tenant: &'static str,
    /// Name of its administrator.
    pub person: &'static str,
    /// The address to log in with.
    pub email: &'static str,
    /// The password to log in with.
    pub password: &'static str,
    /// The plan it has.
    pub edition: &'static str,
}

impl Product {
    /// The edition of that name, or the smallest when the product no longer has it.
    pub fn edition(&self, name: &str) -> Option<&'static Edition> {
        let named = self.editions.iter().find(|edition| edition.name == name);
        named.or_else(|| self.editions.first())
    }

    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<&'static Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The role of whoever signs up.
    pub fn first_role(&self) -> &'static str {
        self.roles.first().map_or("admin", |role| role.name)
    }

    /// The entity of that name.
    pub fn entity(&self, name: &str) -> Option<&'static Entity> {
        self.entities.iter().copied().find(|entity| entity.name == name)
    }
}

impl Edition {
    /// How many there may be, if that is bounded.
    pub fn most(&self, of: &str) -> Option<u32> {
        let limit = self.limits.iter().find(|limit| limit.of == of);
        limit.map(|limit| limit.most)
    }
}
