//! What the Control Plane refuses: codes `CTL-0001` to `CTL-0029` for tenants, from `CTL-0030` for
//! blueprints.

use mesh_kernel::envelope::{ErrorKind, FieldViolation, Refuse, Retry, Role};

/// What a tenant refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// No such tenant.
    #[error("there is no tenant `{tenant}`: create it first")]
    Unknown {
        /// The slug.
        tenant: String,
    },
    /// It exists under another name.
    #[error("the tenant `{tenant}` exists already as `{name}`: choose another slug")]
    Exists {
        /// The slug.
        tenant: String,
        /// Its name.
        name: String,
    },
    /// A name that cannot be shown or told from others.
    #[error("the {what} `{text}` cannot be taken: {rule}")]
    Name {
        /// What the name is of.
        what: &'static str,
        /// What was given, cut to a readable length.
        text: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// The tenant is disabled.
    #[error("the tenant `{tenant}` is disabled: enable it first")]
    Disabled {
        /// The slug.
        tenant: String,
    },
    /// The tenant is being deleted.
    #[error("the tenant `{tenant}` is being deleted: nothing of it can be kept")]
    Deleting {
        /// The slug.
        tenant: String,
    },
    /// Whoever runs the node gets in through this tenant.
    #[error("the tenant `{tenant}` holds the operator's key `{key}`: revoke it first")]
    RunsTheNode {
        /// The slug.
        tenant: String,
        /// The key's name.
        key: String,
    },
    /// A key without roles.
    #[error("a key without roles can do nothing: name at least one of admin, developer, approver, viewer")]
    NoRoles,
    /// A role that the caller cannot give.
    #[error("the role `{role}` cannot be given: {why}")]
    Role {
        /// The role.
        role: Role,
        /// Why not.
        why: &'static str,
    },
    /// Another living key has this name.
    #[error("a key `{name}` exists already: revoke it first, or choose another name")]
    KeyExists {
        /// The name.
        name: String,
    },
    /// The hash belongs to a key that was revoked.
    #[error("this secret was revoked: draw a new one")]
    KeySpent,
    /// No such key.
    #[error("there is no key `{key}`: `keys list` shows them")]
    KeyUnknown {
        /// What was given.
        key: String,
    },
    /// Nobody could get in afterwards.
    #[error("`{name}` is the last key with the role `{role}`: issue another one first")]
    LastKey {
        /// The key's name.
        name: String,
        /// The role that would be lost.
        role: Role,
    },
    /// Too many keys.
    #[error("the tenant has {keys_max} keys already: revoke some first")]
    TooManyKeys {
        /// The bound.
        keys_max: usize,
    },
}

impl Refuse for TenantError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "CTL-0001",
            Self::Exists { .. } => "CTL-0002",
            Self::Name { .. } => "CTL-0003",
            Self::Disabled { .. } => "CTL-0004",
            Self::NoRoles => "CTL-0005",
            Self::Role { .. } => "CTL-0006",
            Self::KeyExists { .. } => "CTL-0007",
            Self::KeySpent => "CTL-0008",
            Self::KeyUnknown { .. } => "CTL-0009",
            Self::LastKey { .. } => "CTL-0010",
            Self::TooManyKeys { .. } => "CTL-0011",
            Self::Deleting { .. } => "CTL-0012",
            Self::RunsTheNode { .. } => "CTL-0013",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } | Self::KeyUnknown { .. } => ErrorKind::NotFound,
            Self::Exists { .. } | Self::KeyExists { .. } => ErrorKind::AlreadyExists,
            Self::Name { .. } | Self::NoRoles => ErrorKind::InvalidArgument,
            Self::Role { .. } => ErrorKind::PermissionDenied,
            Self::Disabled { .. }
            | Self::KeySpent
            | Self::LastKey { .. }
            | Self::Deleting { .. }
            | Self::RunsTheNode { .. } => ErrorKind::FailedPrecondition,
            Self::TooManyKeys { .. } => ErrorKind::ResourceExhausted,
        }
    }

    fn fields(&self) -> Vec<FieldViolation> {
        let field = match self {
            Self::Name { .. } | Self::KeyExists { .. } => "name",
            Self::NoRoles | Self::Role { .. } => "roles",
            _ => return Vec::new(),
        };
        vec![FieldViolation { field: field.to_owned(), description: self.to_string() }]
    }
}

/// What a blueprint refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlueprintError {
    /// The command is for another blueprint.
    #[error("the blueprint `{name}` was sent to `{id}`: a blueprint's address ends with its name")]
    Misaddressed {
        /// The name in the command.
        name: String,
        /// The entity's id.
        id: String,
    },
    /// The text is longer than the journal takes.
    #[error(
        "a blueprint of {bytes} bytes is too large to be sent as it is: at most {bytes_max}, larger ones lie in the content store"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The digest is not the text's.
    #[error("the digest `{given}` is not that of the blueprint, `{actual}`: compute it of the text that is sent")]
    Digest {
        /// What the command says.
        given: String,
        /// What it is.
        actual: String,
    },
    /// The text cannot be read.
    #[error("the blueprint has {count} mistakes, the first: {first}; `blueprints validate` shows all")]
    Mistakes {
        /// How many.
        count: usize,
        /// The first one, with line and column.
        first: String,
    },
    /// The change cannot be brought to tenants' files.
    #[error("the blueprint `{name}` changes what was released as version {version} in a way that tenants' files cannot follow: {}", .reasons.join("; "))]
    Incompatible {
        /// The blueprint.
        name: String,
        /// The released version.
        version: u32,
        /// Each change that cannot be taken, with how to mend it.
        reasons: Vec<String>,
    },
    /// Someone applied another version meanwhile.
    #[error("the blueprint was compared with another version than the released one: plan again")]
    BaseMoved,
    /// The run of the version before is still going.
    #[error("run `{run}` still makes version {version}: wait for it, or cancel it")]
    Busy {
        /// The version.
        version: u32,
        /// Its run.
        run: String,
    },
}

impl Refuse for BlueprintError {
    fn code(&self) -> &'static str {
        match self {
            Self::Misaddressed { .. } => "CTL-0030",
            Self::TooLarge { .. } => "CTL-0031",
            Self::Digest { .. } => "CTL-0032",
            Self::Mistakes { .. } => "CTL-0033",
            Self::Incompatible { .. } => "CTL-0034",
            Self::BaseMoved => "CTL-0035",
            Self::Busy { .. } => "CTL-0036",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Misaddressed { .. } | Self::TooLarge { .. } | Self::Digest { .. } | Self::Mistakes { .. } => {
                ErrorKind::InvalidArgument
            }
            Self::Incompatible { .. } | Self::Busy { .. } => ErrorKind::FailedPrecondition,
            Self::BaseMoved => ErrorKind::Aborted,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::BaseMoved => Retry::Now,
            Self::Busy { .. } => Retry::After(std::time::Duration::from_secs(5)),
            _ => Retry::Never,
        }
    }

    fn fields(&self) -> Vec<FieldViolation> {
        let at = |field: &str, description: &str| FieldViolation {
            field: field.to_owned(),
            description: description.to_owned(),
        };
        match self {
            Self::Incompatible { reasons, .. } => reasons.iter().map(|reason| at("blueprint", reason)).collect(),
            Self::Mistakes { first, .. } => vec![at("source", first)],
            _ => Vec::new(),
        }
    }
}
