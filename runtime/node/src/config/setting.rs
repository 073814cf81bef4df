//! One setting: a value, its place, and what is said of a name that nobody knows.

use mesh_skills::yaml::suggest;

use super::{Key, Mistake, Place, Value};

/// A value and where it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Where it was given.
    pub place: Place,
}

impl Setting {
    /// Reads the value of `key` from text.
    pub(super) fn read(key: &Key, text: &str, place: Place) -> Result<Self, Mistake> {
        match key.form.read(text) {
            Ok(value) => Ok(Self { value, place }),
            Err(expected) => Err(Mistake {
                place,
                message: format!("`{}` cannot be `{text}`: {expected}", key.name),
                help: format!("the default is `{}`", key.default),
            }),
        }
    }
}

/// The mistake of a name that is not known, with the nearest one that is.
pub(super) fn unknown<I>(place: Place, what: &str, name: &str, known: I) -> Mistake
where
    I: Iterator + Clone,
    I::Item: AsRef<str>,
{
    let help = match suggest(name, known.clone()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            let all: Vec<String> = known.map(|name| name.as_ref().to_owned()).collect();
            format!("known are {}", all.join(", "))
        }
    };
    Mistake { place, message: format!("`{name}` is no {what}"), help }
}
