//! One tenant's file in memory, with the sample rows: for tests of rules.

use std::cell::Cell;

use rusqlite::Connection;

use crate::demo::{self, Row, Samples, Seeded};
use crate::entity::Kind;
use crate::form::Input;
use crate::moment::Moment;
use crate::{Edition, Error, Member, Person, Product, Scope, migrate};

/// One tenant and its administrator, at a fixed moment.
#[derive(Debug)]
pub struct World {
    db: Connection,
    product: &'static Product,
    edition: &'static Edition,
    who: Person,
    members: Vec<Member>,
    now: Moment,
    seeded: Seeded,
    made: Cell<u32>,
}

impl World {
    /// A tenant of the largest edition with the sample rows, which no rule is asked about.
    pub fn new(product: &'static Product) -> Result<Self, Error> {
        let mut db = Connection::open_in_memory()?;
        let tables: Vec<_> = product.entities.iter().map(|entity| entity.table).collect();
        // 15 January 2026, 12:00.
        let now = Moment(1_768_478_400);
        migrate::run(&mut db, &tables, &now.rfc3339())?;
        let who = Person {
            id: "usr_ada".to_owned(),
            tenant: "ten_test".to_owned(),
            email: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            role: product.first_role().to_owned(),
        };
        let members = vec![Member { id: who.id.clone(), name: who.name.clone() }];
        let edition = product.editions.last();
        let mut world = Self {
            db,
            product,
            edition: edition.ok_or(Error::Internal("the product has no edition"))?,
            who,
            members,
            now,
            seeded: Seeded::default(),
            made: Cell::new(0),
        };
        let seeded = demo::sow(&world.scope())?;
        world.seeded = seeded;
        Ok(world)
    }

    /// The same world in which the tenant has the smallest plan.
    #[must_use]
    pub fn on_smallest_plan(mut self) -> Self {
        self.edition = self.product.editions.first().unwrap_or(self.edition);
        self
    }

    /// The same world in which a person of that role acts.
    #[must_use]
    pub fn acting_as(mut self, role: &str) -> Self {
        role.clone_into(&mut self.who.role);
        self
    }

    /// The tenant's file, person and moment.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            db: &self.db,
            product: self.product,
            who: &self.who,
            edition: self.edition,
            members: &self.members,
            now: self.now,
        }
    }

    /// The first sample row of an entity with some of its values replaced, and the state that is
    /// named among them; an empty value removes one. It is another record than the sample: what must
    /// be unique is made so.
    ///
    /// Values are written as in samples: `@me`, `@customer:0`, `+3d 14:00`.
    pub fn draft(&self, entity: &str, replaced: Row) -> Result<(Input, Option<String>), Error> {
        let scope = self.scope();
        let samples = self.samples(entity)?;
        let mut input = self.seeded.input(&scope, samples.rows.first().copied().unwrap_or(&[]));
        input.take("state");
        self.made.set(self.made.get() + 1);
        let fields = self.product.entity(entity).map_or(&[][..], |entity| entity.fields);
        for field in fields.iter().filter(|field| field.unique) {
            let value = match field.kind {
                Kind::Integer => (1_000_000 + self.made.get()).to_string(),
                _ => format!("{}-{}", input.text(field.name), self.made.get()),
            };
            input.set(field.name, Some(&value));
        }
        for (name, value) in replaced {
            input.set(name, Some(&self.seeded.value(&scope, value)));
        }
        let state = input.take("state");
        Ok((input, state))
    }

    /// Adds such a record without asking any rule, and returns its id.
    pub fn add(&self, entity: &str, replaced: Row) -> Result<String, Error> {
        let (input, state) = self.draft(entity, replaced)?;
        (self.samples(entity)?.insert)(&self.scope(), &input, state.as_deref())
    }

    fn samples(&self, entity: &str) -> Result<&'static Samples, Error> {
        let mut samples = self.product.samples.iter();
        let samples = samples.find(|samples| samples.entity == entity);
        samples.ok_or(Error::NotFound)
    }
}
