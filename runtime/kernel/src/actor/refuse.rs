//! Why a message was not taken, or will not be handled.

use std::time::Duration;

use super::Item;
use crate::envelope::{ErrorKind, Refusal, Refuse, Retry};

/// A message that was not taken: the whole message, and the refusal for its sender.
#[derive(Debug, thiserror::Error)]
#[error("{refusal}")]
pub struct Undelivered {
    /// The message, untouched.
    pub item: Item,
    /// What to tell the sender.
    pub refusal: Refusal,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The mailbox is full.
    #[error("the queue of `{address}` is full ({depth} messages wait): try again later")]
    Full {
        /// Whose mailbox.
        address: String,
        /// How many wait.
        depth: usize,
        /// How long the queue takes to empty, as far as its pace tells.
        after: Duration,
    },
    /// The message alone is larger than the mailbox.
    #[error(
        "a message of {bytes} bytes is larger than the queue of `{address}` takes ({most}): \
         put the content into the content store and send its digest"
    )]
    TooLarge {
        /// Whose mailbox.
        address: String,
        /// What the message is charged for.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// All mailboxes of the node together hold too much.
    #[error("the node's queues are full ({bytes} bytes wait): try again later")]
    NodeFull {
        /// Bytes in all queues.
        bytes: usize,
    },
    /// Awake entities hold too much memory; no other is woken.
    #[error("the node's memory for entities is full, so `{address}` cannot be woken: try again later")]
    Memory {
        /// Who was to be woken.
        address: String,
    },
    /// The entity failed too often or cannot be decoded.
    #[error(
        "`{address}` is quarantined ({why}): nothing was done; \
         its history can be read, and an operator can release it once the cause is mended"
    )]
    Quarantined {
        /// Who is quarantined.
        address: String,
        /// Why.
        why: String,
    },
    /// A handler was killed and does not end.
    #[error("`{address}` is stuck in a handler that does not end: nothing was done, try again later")]
    Wedged {
        /// Who is stuck.
        address: String,
    },
    /// The node stops.
    #[error("the node is stopping: nothing was done, try again when it is back")]
    Stopping,
    /// The deadline had passed when the message's turn came.
    #[error("the deadline passed before `{address}` could begin: nothing was done")]
    Expired {
        /// Who was to do it.
        address: String,
    },
    /// The message killed its actor twice.
    #[error(
        "`{event}` made `{address}` fail twice ({why}): \
         it is kept among the dead letters and can be replayed from there"
    )]
    Poison {
        /// The message's id.
        event: String,
        /// Who failed.
        address: String,
        /// What the last failure was.
        why: String,
    },
    /// Nothing lives on such a platform.
    #[error("`{address}` names the platform `{platform}`, which this node does not run")]
    NoPlatform {
        /// The address.
        address: String,
        /// Its platform.
        platform: String,
    },
    /// Whoever is asked waits itself for the answer of who asks.
    #[error(
        "`{address}` waits for this answer itself ({way}), so it would never give one: nothing was done; \
         let it be told, and tell what came of it"
    )]
    Cycle {
        /// Who was asked.
        address: String,
        /// From it to who asks.
        way: String,
    },
    /// The entity handled the message and gave no answer.
    #[error("`{address}` gave no answer to `{event}`: look at its history before trying again")]
    NoAnswer {
        /// Who gave none.
        address: String,
        /// The message's id.
        event: String,
    },
}

impl Refuse for NotTaken {
    fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "KER-0400",
            Self::TooLarge { .. } => "KER-0401",
            Self::NodeFull { .. } => "KER-0402",
            Self::Memory { .. } => "KER-0403",
            Self::Quarantined { .. } => "KER-0404",
            Self::Wedged { .. } => "KER-0405",
            Self::Stopping => "KER-0406",
            Self::Expired { .. } => "KER-0407",
            Self::Poison { .. } => "KER-0408",
            Self::NoPlatform { .. } => "KER-0409",
            Self::NoAnswer { .. } => "KER-0410",
            Self::Cycle { .. } => "KER-0411",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::NodeFull { .. } | Self::Memory { .. } => ErrorKind::ResourceExhausted,
            Self::TooLarge { .. } | Self::NoPlatform { .. } => ErrorKind::InvalidArgument,
            Self::Quarantined { .. } | Self::Wedged { .. } | Self::Stopping => ErrorKind::Unavailable,
            Self::Expired { .. } => ErrorKind::DeadlineExceeded,
            Self::Poison { .. } | Self::NoAnswer { .. } => ErrorKind::Internal,
            Self::Cycle { .. } => ErrorKind::Aborted,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Full { after, .. } => Retry::After(*after),
            Self::NodeFull { .. } | Self::Memory { .. } | Self::Wedged { .. } | Self::Stopping => {
                Retry::After(Duration::from_secs(1))
            }
            Self::TooLarge { .. }
            | Self::Quarantined { .. }
            | Self::Expired { .. }
            | Self::Poison { .. }
            | Self::NoPlatform { .. }
            | Self::Cycle { .. }
            | Self::NoAnswer { .. } => Retry::Never,
        }
    }
}

impl NotTaken {
    /// The message together with the refusal.
    pub(super) fn with(self, item: Item) -> Box<Undelivered> {
        Box::new(Undelivered { item, refusal: Refusal::from(&self) })
    }
}
