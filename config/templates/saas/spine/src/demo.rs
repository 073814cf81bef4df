//! Sample rows, and tenants to try the product with.

use std::collections::BTreeMap;

use rusqlite::TransactionBehavior;

use crate::control::{self, NewPerson};
use crate::form::Input;
use crate::store::lock;
use crate::web::App;
use crate::{Demo, Error, Person, Scope};

/// A row as it is written down: names and values. `@me` is whoever acts, `@customer:0` the first
/// sample row of `customer`, `+3d 14:00` a time three days from now, and `state` its state.
pub type Row = &'static [(&'static str, &'static str)];

/// The sample rows of an entity, and how one is added.
#[derive(Debug)]
pub struct Samples {
    /// Name of the entity.
    pub entity: &'static str,
    /// The rows.
    pub rows: &'static [Row],
    /// Adds a row in a state without asking rules, and returns its id.
    pub insert: fn(&Scope<'_>, &Input, Option<&str>) -> Result<String, Error>,
}

/// The ids of the sample rows that were added, by entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeded(BTreeMap<String, Vec<String>>);

impl Seeded {
    /// What a value means in this tenant now.
    pub fn value(&self, scope: &Scope<'_>, text: &str) -> String {
        match text.strip_prefix('@') {
            Some("me") => scope.who.id.clone(),
            Some(reference) => self.id(reference).unwrap_or_else(|| text.to_owned()),
            None => scope.now.resolve(text),
        }
    }

    /// What a row means in this tenant now.
    pub fn input(&self, scope: &Scope<'_>, row: Row) -> Input {
        let mut input = Input::default();
        for (name, value) in row {
            input.set(name, Some(&self.value(scope, value)));
        }
        input
    }

    fn id(&self, reference: &str) -> Option<String> {
        let (entity, number) = reference.split_once(':')?;
        self.0.get(entity)?.get(number.parse::<usize>().ok()?).cloned()
    }
}

/// Adds the product's sample rows to a tenant.
pub fn sow(scope: &Scope<'_>) -> Result<Seeded, Error> {
    let mut seeded = Seeded::default();
    for samples in scope.product.samples {
        for row in samples.rows {
            let mut input = seeded.input(scope, row);
            let state = input.take("state");
            let id = (samples.insert)(scope, &input, state.as_deref())?;
            seeded.0.entry(samples.entity.to_owned()).or_default().push(id);
        }
    }
    Ok(seeded)
}

/// Makes the product's demo tenants with the sample rows; what is there already stays as it is.
///
/// Crash safe: a tenant without any record gets its rows at the next start, in one transaction.
pub fn seed(app: &App) -> Result<(), Error> {
    for demo in app.product.demo {
        let person = person(app, demo)?;
        fill(app, &person)?;
    }
    Ok(())
}

/// Adds the sample rows to the tenant of a person, if it has no record yet; the ids, by entity.
pub(crate) fn fill(app: &App, person: &Person) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let (members, tenant) = {
        let db = app.store.control();
        let tenant = control::tenant(&db, &person.tenant)?.ok_or(Error::NotFound)?;
        (control::members(&db, &person.tenant)?, tenant)
    };
    let edition = app.product.edition(&tenant.edition);
    let file = app.store.tenant(&person.tenant, app.clock.now())?;
    let mut db = lock(&file);
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let scope = Scope {
        db: &transaction,
        product: app.product,
        who: person,
        edition: edition.ok_or(Error::Internal("the product has no edition"))?,
        members: &members,
        now: app.clock.now(),
    };
    let mut records = 0;
    for entity in app.product.entities {
        records += scope.count(entity.name)?;
    }
    let seeded = if records == 0 { sow(&scope)? } else { Seeded::default() };
    transaction.commit()?;
    Ok(seeded.0)
}

fn person(app: &App, demo: &Demo) -> Result<Person, Error> {
    let mut db = app.store.control();
    if let Some(account) = control::account(&db, demo.email)? {
        return Ok(account.person);
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let new =
        NewPerson { name: demo.person, email: demo.email, role: app.product.first_role(), password: demo.password };
    let person = control::sign_up(&change, demo.tenant, demo.edition, &new, app.clock.now())?;
    change.commit()?;
    Ok(person)
}
