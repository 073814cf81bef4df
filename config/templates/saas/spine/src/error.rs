//! What is refused, and how it is answered.

use std::collections::BTreeMap;

/// What was wrong with a submitted record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// By field name: what is wrong with it.
    pub fields: BTreeMap<String, String>,
    /// Sentences about the record as a whole: the rules that it breaks.
    pub rules: Vec<String>,
}

impl Mistakes {
    /// One mistake about one field.
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        let mut mistakes = Self::default();
        mistakes.fields.insert(name.to_owned(), message.into());
        mistakes
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.rules.is_empty()
    }
}

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or it belongs to another tenant: the two cannot be told apart.
    #[error("there is nothing here, or it is not yours to see")]
    NotFound,
    /// Nobody is logged in.
    #[error("log in first, or send an API token as `Authorization: Bearer …`")]
    LogInFirst,
    /// The person's role does not allow it.
    #[error("your role `{role}` may not do this; ask one of: {allowed}")]
    Forbidden {
        /// The role of who asked.
        role: String,
        /// The roles that may, separated by commas.
        allowed: String,
    },
    /// The form was not sent from our own page.
    #[error("this form has expired or came from another site; reload the page and send it again")]
    Forged,
    /// The input does not fit.
    #[error("some of this needs another look: {}", summary(.0))]
    Invalid(Mistakes),
    /// It cannot be done in the present state of things.
    #[error("{0}")]
    Conflict(String),
    /// The plan does not allow more.
    #[error("the plan `{edition}` allows {most} {what}; upgrade the plan or remove some")]
    LimitReached {
        /// What there would be too many of.
        what: String,
        /// How many are allowed.
        most: u32,
        /// Title of the tenant's edition.
        edition: String,
    },
    /// Too many failed attempts.
    #[error("too many attempts; wait {0} minutes and try again")]
    Throttled(u32),
    /// The request is not one we can read.
    #[error("{0}")]
    BadRequest(String),
    /// A tenant's file cannot be used with this version of the product.
    #[error("the data file cannot be migrated: {0}")]
    Migration(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    /// The file system failed.
    #[error("the file system failed")]
    Io(#[from] std::io::Error),
    /// Hashing, randomness or another thing inside failed.
    #[error("something failed inside: {0}")]
    Internal(&'static str),
}

impl Error {
    /// The HTTP status that says it.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::LogInFirst => 401,
            Self::Forbidden { .. } | Self::Forged => 403,
            Self::Invalid(_) => 422,
            Self::Conflict(_) => 409,
            Self::LimitReached { .. } => 402,
            Self::Throttled(_) => 429,
            Self::BadRequest(_) => 400,
            Self::Migration(_) | Self::Database(_) | Self::Io(_) | Self::Internal(_) => 500,
        }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::LogInFirst => "log_in_first",
            Self::Forbidden { .. } => "forbidden",
            Self::Forged => "forged",
            Self::Invalid(_) => "invalid",
            Self::Conflict(_) => "conflict",
            Self::LimitReached { .. } => "limit_reached",
            Self::Throttled(_) => "throttled",
            Self::BadRequest(_) => "bad_request",
            Self::Migration(_) | Self::Database(_) | Self::Io(_) | Self::Internal(_) => "internal",
        }
    }
}

fn summary(mistakes: &Mistakes) -> String {
    let fields = mistakes.fields.iter().map(|(name, message)| format!("`{name}` {message}"));
    fields.chain(mistakes.rules.iter().cloned()).collect::<Vec<_>>().join("; ")
}
