//! The default policy: what a role allows. Cedar comes behind the same port.

use mesh_kernel::{
    envelope::Role,
    ports::{Decision, Policy, Request},
};

/// Allows what the role allows, denies the rest.
#[derive(Debug)]
pub struct RolePolicy;

/// What it takes to do something: the roles that may, by the action's name.
fn may(action: &str) -> &'static [Role] {
    use Role::{Admin, Approver, Developer, Operator, Viewer};
    let reads = ["Get", "List", "Watch", "Tail", "Validate", "Plan"];
    if reads.iter().any(|verb| action.starts_with(verb)) {
        return &[Viewer, Approver, Developer, Admin, Operator];
    }
    match action {
        "DecideApproval" => &[Approver, Admin],
        "CreateTenant" | "DisableTenant" | "EnableTenant" => &[Operator],
        "IssueKey" | "RevokeKey" => &[Admin, Operator],
        "ReplayDeadLetter" => &[Admin, Operator],
        "SubmitRun" | "SignalRun" | "PauseRun" | "ResumeRun" | "CancelRun" | "RetryRun" | "PublishDefinition"
        | "ApplyBlueprint" | "StopWorkload" | "ServeWorkload" => &[Developer, Admin],
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
    use mesh_kernel::envelope::Principal;

    use super::*;

    fn decide(roles: &[Role], action: &str) -> bool {
        let principal = Principal { name: "key:test".into(), roles: roles.to_vec(), on_behalf_of: None };
        roles_allow(&principal, action)
    }

    fn roles_allow(principal: &Principal, action: &str) -> bool {
        principal.has(Role::System) || may(action).iter().any(|role| principal.has(*role))
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
            (Role::Operator, "SubmitRun", false),
            (Role::Admin, "RecordOutcome", false),
            (Role::Operator, "FireTimer", false),
            (Role::System, "RecordOutcome", true),
        ];
        for (role, action, allowed) in table {
            assert_eq!(decide(&[*role], action), *allowed, "{role} {action}");
        }
    }
}
