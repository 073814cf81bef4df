//! The default policy: what a role allows, and which of that waits for an approval. Cedar comes behind
//! the same port.

use std::collections::BTreeSet;

use mesh_kernel::{
    envelope::Role,
    ports::{Decision, Policy, Request},
};

/// Allows what the role allows, denies the rest; what is on a list waits for an approval.
#[derive(Debug, Default)]
pub struct RolePolicy {
    waits: BTreeSet<String>,
}

impl RolePolicy {
    /// A policy under which these commands of callers wait for an approval.
    pub fn new(require_approval: &[String]) -> Self {
        Self { waits: require_approval.iter().cloned().collect() }
    }
}

/// What it takes to do something: the roles that may, by the action's name.
fn may(action: &str) -> &'static [Role] {
    use Role::{Admin, Approver, Developer, Operator, Viewer};
    match action {
        "ListKeys" => return &[Admin, Operator],
        "ListAllDeadLetters" | "ReadMetrics" | "ExamineNode" | "BackUpNode" => return &[Operator],
        _ => {}
    }
    let reads = ["Get", "List", "Read", "Watch", "Tail", "Validate", "Plan", "Search"];
    if reads.iter().any(|verb| action.starts_with(verb)) {
        return &[Viewer, Approver, Developer, Admin, Operator];
    }
    match action {
        "DecideApproval" => &[Approver, Admin],
        "CreateTenant" | "DisableTenant" | "EnableTenant" | "DeleteTenant" => &[Operator],
        "IssueKey" | "RevokeKey" => &[Admin, Operator],
        "ReplayDeadLetter" | "SetBudget" => &[Admin, Operator],
        "SubmitRun" | "SignalRun" | "PauseRun" | "ResumeRun" | "CancelRun" | "RetryRun" | "PublishDefinition"
        | "PublishAgent" | "ActivateAgent" | "PauseTask" | "ResumeTask" | "RedirectTask" | "TakeOverTask"
        | "CancelTask" | "RegisterSkills" | "DeprecateSkill" | "WithdrawSkill" | "ServeSkills" | "ApplyBlueprint"
        | "IngestDocuments" | "ForgetDocuments" | "BuildContext" | "StopWorkload" | "ServeWorkload" => {
            &[Developer, Admin]
        }
        // Everything else is said by the node to itself: reactions, outcomes, timers.
        _ => &[],
    }
}

impl Policy for RolePolicy {
    fn decide(&self, request: &Request<'_>) -> Decision {
        let principal = request.principal;
        if principal.has(Role::System) {
            return Decision::Allow { policy: "system".to_owned() };
        }
        let roles = may(request.action);
        match roles.iter().find(|role| principal.has(**role)) {
            Some(_) if self.waits.contains(request.action) => {
                Decision::RequiresApproval { policy: "policy.require_approval".to_owned() }
            }
            Some(role) => Decision::Allow { policy: format!("role:{role}") },
            None if roles.is_empty() => Decision::Deny {
                reason: format!("`{}` is not for callers: the node says it to itself", request.action),
            },
            None => {
                let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                Decision::Deny {
                    reason: format!(
                        "`{}` needs the role {}; `{}` has {}",
                        request.action,
                        names.join(" or "),
                        principal.name,
                        principal.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "),
                    ),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_kernel::envelope::{Principal, TenantId, TenantScope};

    use super::*;
    use crate::config::HOLDABLE;

    fn decide(policy: &RolePolicy, roles: &[Role], action: &str) -> Decision {
        let principal = Principal { name: "key:test".into(), roles: roles.to_vec(), on_behalf_of: None };
        let scope = TenantScope::unproven(TenantId::parse("acme").unwrap());
        policy.decide(&Request { scope: &scope, principal: &principal, action, resource: None })
    }

    fn allowed(decision: &Decision) -> bool {
        matches!(decision, Decision::Allow { .. })
    }

    #[test]
    fn each_role_may_do_its_own_and_no_more() {
        let table: &[(Role, &str, bool)] = &[
            (Role::Viewer, "GetRun", true),
            (Role::Viewer, "SubmitRun", false),
            (Role::Developer, "SubmitRun", true),
            (Role::Developer, "DecideApproval", false),
            (Role::Approver, "DecideApproval", true),
            (Role::Approver, "CancelRun", false),
            (Role::Admin, "IssueKey", true),
            (Role::Admin, "CreateTenant", false),
            (Role::Operator, "CreateTenant", true),
            (Role::Operator, "DeleteTenant", true),
            (Role::Admin, "DeleteTenant", false),
            (Role::Operator, "SubmitRun", false),
            (Role::Admin, "RecordOutcome", false),
            (Role::Operator, "FireTimer", false),
            (Role::System, "RecordOutcome", true),
            (Role::Viewer, "ReadContent", true),
            (Role::Viewer, "ListKeys", false),
            (Role::Admin, "ListKeys", true),
            (Role::Admin, "ListAllDeadLetters", false),
            (Role::Operator, "ListAllDeadLetters", true),
            (Role::Admin, "ReadMetrics", false),
            (Role::Operator, "ReadMetrics", true),
            (Role::Admin, "ExamineNode", false),
            (Role::Admin, "BackUpNode", false),
            (Role::Operator, "BackUpNode", true),
            (Role::Operator, "ExamineNode", true),
            (Role::Developer, "SetBudget", false),
            (Role::Admin, "SetBudget", true),
            (Role::Admin, "ReserveBudget", false),
        ];
        for (role, action, expected) in table {
            assert_eq!(allowed(&decide(&RolePolicy::default(), &[*role], action)), *expected, "{role} {action}");
        }
    }

    #[test]
    fn what_is_on_the_list_waits_for_callers_who_may_do_it_and_for_nobody_else() {
        let policy = RolePolicy::new(&["CancelRun".to_owned()]);
        assert!(matches!(decide(&policy, &[Role::Developer], "CancelRun"), Decision::RequiresApproval { .. }));
        assert!(matches!(decide(&policy, &[Role::Viewer], "CancelRun"), Decision::Deny { .. }));
        assert!(allowed(&decide(&policy, &[Role::Developer], "PauseRun")));
        assert!(allowed(&decide(&policy, &[Role::Developer, Role::System], "CancelRun")), "the node waits for itself");
    }

    #[test]
    fn every_command_that_can_wait_is_one_that_callers_may_send() {
        for action in HOLDABLE {
            let admin = decide(&RolePolicy::default(), &[Role::Admin], action);
            assert!(allowed(&admin), "`{action}` can be put on the list, and nobody may send it");
        }
    }
}
