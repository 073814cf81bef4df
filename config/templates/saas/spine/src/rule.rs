//! Rules of the domain: a sentence, when it is asked, and whether it holds.

use crate::{Error, Mistakes, Scope};

/// When a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Before a record is added.
    Create,
    /// Before a record is changed.
    Update,
    /// Before a record is removed.
    Delete,
    /// Before the named transition; the record is shown in the state it would have.
    Transition(&'static str),
}

/// A rule about records of type `T`.
pub struct Rule<T: 'static> {
    /// What it says; shown to whoever breaks it.
    pub sentence: &'static str,
    /// The field to show it at; empty when it is about the record.
    pub field: &'static str,
    /// When it is asked.
    pub on: &'static [On],
    /// Whether it holds.
    pub holds: fn(&Scope<'_>, &T) -> Result<bool, Error>,
}

/// Refuses a record that breaks a rule, and tells all that it breaks.
pub fn check<T>(scope: &Scope<'_>, rules: &[Rule<T>], on: On, record: &T) -> Result<(), Error> {
    let mut mistakes = Mistakes::default();
    for rule in rules.iter().filter(|rule| rule.on.contains(&on)) {
        if (rule.holds)(scope, record)? {
            continue;
        }
        if rule.field.is_empty() {
            mistakes.rules.push(rule.sentence.to_owned());
        } else {
            let field = mistakes.fields.entry(rule.field.to_owned());
            field.or_insert_with(|| rule.sentence.to_owned());
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(mistakes))
}

/// Whether an answer refuses with this sentence: for tests of rules.
pub fn refuses<T>(answer: &Result<T, Error>, sentence: &str) -> bool {
    let Err(Error::Invalid(mistakes)) = answer else {
        return false;
    };
    let mut told = mistakes.rules.iter().chain(mistakes.fields.values());
    told.any(|told| told == sentence)
}
