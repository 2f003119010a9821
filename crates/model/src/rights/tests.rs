use super::*;

fn id(last: char) -> Id {
    format!("{}{last}", "0".repeat(25)).parse().unwrap()
}

const ALL: Allowance = Allowance { may_snapshot: true, may_restore: true };

fn actor(role: Role, is_system: bool) -> Actor {
    Actor { tenant: id('1'), is_system, role }
}

#[test]
fn nobody_but_the_system_sees_another_tenant() {
    for role in Role::ALL {
        for action in Action::ALL {
            assert_eq!(decide(&actor(role, false), action, &id('2'), ALL), Decision::Absent);
            assert_ne!(decide(&actor(role, true), action, &id('2'), ALL), Decision::Absent);
        }
    }
}

/// The table of docs/manager.md, section 6.
#[test]
fn roles_may_what_the_table_says() {
    use Action::*;
    let table: [(Role, &[Action]); 5] = [
        (Role::Viewer, &[Public, Own, See]),
        (Role::Operator, &[Public, Own, See, SnapshotPartial]),
        (Role::Restorer, &[Public, Own, See, Restore]),
        (Role::Auditor, &[Public, Own, See, Audit]),
        (
            Role::Administrator,
            &[Public, Own, See, SnapshotPartial, Restore, Change, Users, Audit, System],
        ),
    ];
    for (role, may) in table {
        for action in Action::ALL {
            let allowed = decide(&actor(role, true), action, &id('1'), ALL) == Decision::Allowed;
            assert_eq!(allowed, may.contains(&action), "{role} {action:?}");
            let own = decide(&actor(role, false), action, &id('1'), ALL) == Decision::Allowed;
            assert_eq!(own, may.contains(&action) && action != System, "{role} {action:?}");
        }
    }
}

#[test]
fn a_tenant_does_itself_only_what_its_parent_allows() {
    let none = Allowance { may_snapshot: false, may_restore: false };
    for action in [Action::SnapshotPartial, Action::Restore] {
        let own = decide(&actor(Role::Administrator, false), action, &id('1'), none);
        assert!(matches!(own, Decision::Denied(_)));
        let parent = decide(&actor(Role::Administrator, true), action, &id('2'), none);
        assert_eq!(parent, Decision::Allowed);
    }
}

#[test]
fn roles_include_those_below_them() {
    for role in Role::ALL {
        assert!(Role::Administrator.includes(role) && role.includes(Role::Viewer));
        assert!(role.includes(role));
    }
    assert!(!Role::Operator.includes(Role::Restorer) && !Role::Auditor.includes(Role::Operator));
}
