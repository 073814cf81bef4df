//! One tenant's file in memory, with the sample rows: for tests of rules.

use rusqlite::Connection;

use crate::demo::{self, Row, Seeded};
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
        let members = vec![Member {
            id: who.id.clone(),
            name: who.name.clone(),
        }];
        let edition = product.editions.last();
        let mut world = Self {
            db,
            product,
            edition: edition.ok_or(Error::Internal("the product has no edition"))?,
            who,
            members,
            now,
            seeded: Seeded::default(),
        };
        let seeded = demo::sow(&world.scope())?;
        world.seeded = seeded;
        Ok(world)
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

    /// A sample row with some of its values replaced; an empty value removes one.
    ///
    /// Values are written as in samples: `@me`, `@customer:0`, `+3d 14:00`.
    pub fn input(&self, row: Row, replaced: Row) -> Input {
        let mut input = self.seeded.input(&self.scope(), row);
        for (name, value) in replaced {
            input.set(name, Some(&self.seeded.value(&self.scope(), value)));
        }
        input
    }

    /// Adds such a row without asking any rule, and returns its id.
    pub fn add(&self, entity: &str, row: Row, replaced: Row) -> Result<String, Error> {
        let mut input = self.input(row, replaced);
        let state = input.take("state");
        let samples = self.product.samples.iter();
        let mut samples = samples.filter(|samples| samples.entity == entity);
        let samples = samples.next().ok_or(Error::NotFound)?;
        (samples.insert)(&self.scope(), &input, state.as_deref())
    }
}
