//! The closed ontology: kinds of nodes, kinds of edges, and how each edge reads.

use std::fmt;

/// A list of kinds with their names, numbers as they are stored. A number never changes its meaning.
macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $kind:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$item])* $kind = $number,)* }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The kind that is stored as this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)* _ => None }
            }

            /// The number that it is stored as.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// As people and exports read it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }

            /// The kind that is called so.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$kind),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

kinds! {
    /// What a node is.
    NodeKind {
        /// The tenant itself.
        Tenant = 0, "Tenant";
        /// A product being made.
        Project = 1, "Project";
        /// A version of a blueprint.
        Blueprint = 2, "Blueprint";
        /// A part of a product with its own language.
        BoundedContext = 3, "BoundedContext";
        /// A deployable or library of a product.
        Module = 4, "Module";
        /// Something that was made.
        Artifact = 5, "Artifact";
        /// What two parts agreed on.
        Contract = 6, "Contract";
        /// Something that happened and fits nothing else.
        Event = 7, "Event";
        /// A task of an agent.
        AgentTask = 8, "AgentTask";
        /// A version of an agent.
        Agent = 9, "Agent";
        /// A version of a skill.
        Skill = 10, "Skill";
        /// A commit.
        Commit = 11, "Commit";
        /// A request to take commits over.
        PullRequest = 12, "PullRequest";
        /// A pipeline of builds and checks.
        Pipeline = 13, "Pipeline";
        /// Something running somewhere.
        Deployment = 14, "Deployment";
        /// What a running thing was seen to do.
        RuntimeSignal = 15, "RuntimeSignal";
        /// A piece of work that a signal led to.
        FeedbackItem = 16, "FeedbackItem";
        /// A document that was taken in.
        Document = 17, "Document";
        /// A piece of a document.
        Chunk = 18, "Chunk";
        /// What a task was given to know.
        ContextPackage = 19, "ContextPackage";
        /// What a model was asked.
        Prompt = 20, "Prompt";
        /// A model's answer, and what it cost.
        ModelInvocation = 21, "ModelInvocation";
        /// A call of a skill.
        ToolInvocation = 22, "ToolInvocation";
        /// A version of a template.
        Template = 23, "Template";
        /// A version of a package.
        Package = 24, "Package";
        /// A build or a test of a commit.
        Build = 25, "Build";
        /// A policy that decided.
        Policy = 26, "Policy";
        /// People's yes or no.
        Approval = 27, "Approval";
        /// A version of a workflow's definition.
        Workflow = 28, "Workflow";
        /// One execution of a workflow.
        Run = 29, "Run";
        /// An attempt at a step of a run.
        Step = 30, "Step";
        /// A model of some endpoint.
        Model = 31, "Model";
        /// Who asked or decided.
        Principal = 32, "Principal";
    }
}

kinds! {
    /// What an edge says. Sixteen, so that a kind and a node's number share one word.
    EdgeKind {
        /// New from old: made out of it.
        DerivedFrom = 0, "DERIVED_FROM";
        /// New from old: what made it.
        ProducedBy = 1, "PRODUCED_BY";
        /// New from old: it made use of it.
        Used = 2, "USED";
        /// New from old: what it rests on.
        GroundedOn = 3, "GROUNDED_ON";
        /// New from old: it does not work without.
        DependsOn = 4, "DEPENDS_ON";
        /// New from old: what it belongs to.
        PartOf = 5, "PART_OF";
        /// Old to new: it announced it.
        Emits = 6, "EMITS";
        /// Old to new: what found it good.
        ValidatedBy = 7, "VALIDATED_BY";
        /// Old to new: the yes that it was given.
        ApprovedBy = 8, "APPROVED_BY";
        /// Old to new: what was decided about it.
        DecidedBy = 9, "DECIDED_BY";
        /// Old to new: the commit that holds it.
        CommittedAs = 10, "COMMITTED_AS";
        /// Old to new: the build that was made of it.
        BuiltAs = 11, "BUILT_AS";
        /// Old to new: where it runs.
        DeployedAs = 12, "DEPLOYED_AS";
        /// New from old: what was seen to do so.
        ObservedOn = 13, "OBSERVED_ON";
        /// Old to new: it is because of it.
        Caused = 14, "CAUSED";
        /// New from old: it stands in its place.
        Supersedes = 15, "SUPERSEDES";
    }
}

impl EdgeKind {
    /// Whether it reads from the older node to the newer one. It is stored the other way round all the same.
    pub const fn reads_forward(self) -> bool {
        matches!(
            self,
            Self::Emits
                | Self::ValidatedBy
                | Self::ApprovedBy
                | Self::DecidedBy
                | Self::CommittedAs
                | Self::BuiltAs
                | Self::DeployedAs
                | Self::Caused
        )
    }

    /// The ends of an edge as it reads, of the newer and the older one.
    pub const fn reads(self, newer: u32, older: u32) -> (u32, u32) {
        if self.reads_forward() { (older, newer) } else { (newer, older) }
    }
}

/// A set of kinds of edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeKinds(u16);

impl EdgeKinds {
    /// All of them.
    pub const ALL: Self = Self(u16::MAX);

    /// Just these.
    pub fn of(kinds: &[EdgeKind]) -> Self {
        Self(kinds.iter().fold(0, |mask, kind| mask | 1 << kind.number()))
    }

    /// Whether the kind with this number is among them.
    pub(super) const fn has_number(self, number: u32) -> bool {
        self.0 >> (number & 15) & 1 != 0
    }
}

/// Which way a question goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toward {
    /// To causes: why.
    Older,
    /// To effects: impact.
    Newer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_number_and_by_its_name() {
        for kind in NodeKind::ALL {
            assert_eq!(NodeKind::from_number(kind.number()), Some(*kind));
            assert_eq!(NodeKind::named(kind.name()), Some(*kind));
        }
        assert_eq!(EdgeKind::ALL.len(), 16);
        for kind in EdgeKind::ALL {
            assert_eq!(EdgeKind::from_number(kind.number()), Some(*kind));
            assert_eq!(EdgeKind::named(kind.name()), Some(*kind));
            assert!(EdgeKinds::of(&[*kind]).has_number(u32::from(kind.number())));
        }
        assert_eq!(EdgeKind::ALL.iter().filter(|kind| kind.reads_forward()).count(), 8);
    }
}
