//! What a handler works in: one tenant's file, one person, one moment.

use rusqlite::Connection;

use crate::moment::Moment;
use crate::{Edition, Error, Product};

/// Whoever is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: String,
    /// The tenant they belong to.
    pub tenant: String,
    /// The address they log in with.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Name of their role.
    pub role: String,
}

/// A person of the tenant, as records refer to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: String,
}

/// One tenant's file within one transaction, and who acts in it when.
///
/// Made by [`crate::web::Request`] from the session: there is no other way to a tenant's file.
pub struct Scope<'a> {
    /// The tenant's file.
    pub db: &'a Connection,
    /// The product.
    pub product: &'static Product,
    /// Who acts.
    pub who: &'a Person,
    /// The tenant's plan.
    pub edition: &'static Edition,
    /// The people of the tenant.
    pub members: &'a [Member],
    /// When.
    pub now: Moment,
}

impl Scope<'_> {
    /// Refuses whoever has none of the roles.
    pub fn allow(&self, roles: &[&str]) -> Result<(), Error> {
        if self.may(roles) {
            return Ok(());
        }
        Err(Error::Forbidden { role: self.who.role.clone(), allowed: roles.join(", ") })
    }

    /// Whether who acts has one of the roles.
    pub fn may(&self, roles: &[&str]) -> bool {
        roles.contains(&self.who.role.as_str())
    }

    /// Refuses one more when the plan has no room for it.
    pub fn room_for_one_more(&self, entity: &str, title: &str) -> Result<(), Error> {
        let Some(most) = self.edition.most(entity) else {
            return Ok(());
        };
        if self.count(entity)? < most {
            return Ok(());
        }
        Err(Error::LimitReached { what: title.to_lowercase(), most, edition: self.edition.title.to_owned() })
    }

    /// How many records of an entity there are.
    pub fn count(&self, entity: &str) -> Result<u32, Error> {
        let sql = format!("SELECT COUNT(*) FROM \"{entity}\"");
        Ok(self.db.query_row(&sql, [], |row| row.get(0))?)
    }

    /// The name of a member, or a word for one who has left.
    pub fn member_name(&self, id: &str) -> String {
        let member = self.members.iter().find(|member| member.id == id);
        member.map_or_else(|| "someone who left".to_owned(), |member| member.name.clone())
    }
}
