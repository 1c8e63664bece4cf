use super::*;
use proptest::prelude::*;

const OWN: u32 = 990;

fn user(uid: u32, name: &str) -> Identity {
    Identity { uid, name: Some(name.to_owned()), ..Identity::default() }
}

fn named(name: &str) -> Name {
    Name::Name(name.to_owned())
}

fn entry(role: Role, users: Vec<Name>, groups: Vec<Name>, desks: Desks) -> Entry {
    Entry { role, users, groups, desks, flash: true }
}

fn only(desks: &[Desk]) -> Desks {
    Desks::Only(desks.iter().copied().collect())
}

#[test]
fn without_entries_root_and_the_daemons_user_have_everything_and_nobody_else_anything() {
    let rules = Rules::default();
    for uid in [0, OWN] {
        let grant = rules.allowed(&user(uid, "a"), OWN);
        assert_eq!(grant.roles(), Role::ALL);
        assert_eq!((grant.reads(), grant.writes()), (Desks::All, Desks::All));
    }
    assert_eq!(rules.allowed(&user(1_000, "root"), OWN), Grant::default());
    assert_eq!(rules.fault(), None);
}

#[test]
fn with_entries_only_they_count_and_root_is_no_exception() {
    let rules = Rules::new(vec![entry(Role::Admin, vec![named("bob")], vec![], Desks::All)]);
    for uid in [0, OWN] {
        assert_eq!(rules.allowed(&user(uid, "a"), OWN), Grant::default());
    }
    let bob = rules.allowed(&user(1_001, "bob"), OWN);
    assert_eq!(bob.roles(), [Role::Admin]);
    assert_eq!((bob.reads(), bob.writes()), (Desks::none(), Desks::none()), "an admin reads no messages");
}

#[test]
fn users_and_groups_count_by_name_and_by_number() {
    let rules = Rules::new(vec![
        entry(Role::Operator, vec![named("ana"), Name::Number(7)], vec![named("duty"), Name::Number(70)], Desks::All),
        entry(Role::Admin, vec![named("bob")], vec![], Desks::All),
    ]);
    let in_groups = |gids: &[u32], groups: &[&str]| Identity {
        gids: gids.iter().copied().collect(),
        groups: groups.iter().map(ToString::to_string).collect(),
        ..user(8, "eve")
    };
    for who in [user(8, "ana"), user(7, "eve"), in_groups(&[1, 70], &[]), in_groups(&[1], &["duty"])] {
        assert_eq!(rules.allowed(&who, OWN).roles(), [Role::Operator], "{who:?}");
    }
    // A group never stands for a user of the same name or number, nor the reverse.
    for who in [user(70, "duty"), in_groups(&[7], &["ana"]), user(8, "uid:7"), user(8, "Ana")] {
        assert_eq!(rules.allowed(&who, OWN), Grant::default(), "{who:?}");
    }
    assert_eq!(rules.group_names(), BTreeSet::from(["duty"]));
    assert!(rules.ask_for_groups());
}

#[test]
fn several_entries_add_up_each_role_with_its_own_desks() {
    let ana = || vec![named("ana")];
    let rules = Rules::new(vec![
        entry(Role::Operator, ana(), vec![], only(&[Desk::TECHNICAL])),
        entry(Role::Auditor, ana(), vec![], only(&[Desk::DIPLOMATIC])),
        entry(Role::Admin, ana(), vec![], Desks::All),
    ]);
    let grant = rules.allowed(&user(1, "ana"), OWN);
    assert_eq!(grant.roles(), [Role::Auditor, Role::Operator, Role::Admin]);
    assert_eq!(grant.reads(), only(&[Desk::TECHNICAL, Desk::DIPLOMATIC]), "what an admin has opens no desk");
    assert_eq!(grant.writes(), only(&[Desk::TECHNICAL]));
    assert!(!grant.writes().contains(Desk::DIPLOMATIC) && !grant.reads().contains(Desk(77)));
    assert!(Desks::All.contains(Desk(77)), "whoever reads all desks reads those of newer nodes too");
}

#[test]
fn nobody_can_lock_every_admin_out_unnoticed() {
    let without = Rules::new(vec![entry(Role::Operator, vec![named("ana")], vec![], Desks::All)]);
    assert!(without.fault().unwrap().contains("no entry has role = \"admin\""));
    let admin = || entry(Role::Admin, vec![named("bob")], vec![], Desks::All);
    assert_eq!(Rules::new(vec![admin(); ENTRIES_MAX]).fault(), None);
    assert!(Rules::new(vec![admin(); ENTRIES_MAX + 1]).fault().unwrap().contains("at most 64"));
}

#[test]
fn other_rules_take_the_place_of_all_at_once() {
    let access = Access::default();
    let clone = access.clone();
    let rules = Rules::new(vec![entry(Role::Admin, vec![Name::Number(5)], vec![], Desks::All)]);
    access.replace(rules.clone());
    assert_eq!(*clone.rules(), rules);
}

proptest! {
    /// Whatever the entries, nobody has a role that no entry naming them gives, nor a desk beyond that role's.
    #[test]
    fn nothing_is_granted_that_no_entry_gives(
        entries in prop::collection::vec((0..4_usize, 0..4_u32, 0..16_u8), 1..8),
        uid in 0..4_u32,
    ) {
        let has = |bits: u8, desk: Desk| bits & (1 << desk.0) != 0;
        let desks_of = |bits: u8| Desks::Only(Desk::ALL.into_iter().filter(|desk| has(bits, *desk)).collect());
        let rules = Rules::new(entries.iter().map(|(role, uid, bits)| {
            entry(Role::ALL[*role], vec![Name::Number(*uid)], vec![], desks_of(*bits))
        }).collect());
        let grant = rules.allowed(&user(uid, "x"), OWN);
        let mine = || entries.iter().filter(|(_, other, _)| *other == uid);
        for (place, role) in Role::ALL.into_iter().enumerate() {
            prop_assert_eq!(grant.has_any(&[role]), mine().any(|(role, _, _)| *role == place));
        }
        for desk in Desk::ALL {
            let given = |roles: &[Role]| mine().any(|(role, _, bits)| {
                roles.contains(&Role::ALL[*role]) && has(*bits, desk)
            });
            prop_assert_eq!(grant.writes().contains(desk), given(&[Role::Operator]));
            prop_assert_eq!(grant.reads().contains(desk), given(&[Role::Auditor, Role::Operator, Role::Releaser]));
        }
    }
}
