//! Who has failed, when a call has.

/// Who has failed: what a breaker wants to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Blame {
    /// The skill, or whoever called it: it was asked, and has answered.
    #[default]
    Skill,
    /// What does its work was lost, could not be reached, or broke.
    Host,
    /// The time was over before it answered.
    Late,
    /// It was not asked.
    Nobody,
}
