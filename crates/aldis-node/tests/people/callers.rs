//! Real Unix users at the control socket: the daemon and the command `aldis` as processes, each call under another uid.
//! Only root can play others, so anybody else sees a line that says that nothing was tried.

use super::scene::{PATIENCE, scene, skip};
use std::fs;
use std::process::Command;
use std::time::Instant;

/// Users that no database knows, so that only numbers can name them.
const OPERATOR: (u32, u32) = (41_001, 41_001);
const AUDITOR_BY_GROUP: (u32, u32) = (41_003, 41_002);
const STRANGER: (u32, u32) = (41_009, 41_009);
const ROOT: (u32, u32) = (0, 0);

const ACCESS: &str = r#"
[[access]]
role = "admin"
users = ["root"]
[[access]]
role = "operator"
users = ["uid:41001"]
desks = ["technical"]
[[access]]
role = "auditor"
groups = ["gid:41002"]
"#;

const NOTICE: [&str; 10] =
    ["send", "--to", "cert.zz", "--precedence", "routine", "--tlp", "green", "--subject", "S", "--desk"];

#[tokio::test(flavor = "multi_thread")]
async fn what_each_unix_user_may_do_is_what_the_configuration_says() {
    let scene = match scene(ACCESS).await {
        Ok(scene) => scene,
        Err(why) => return skip(why),
    };
    assert_eq!(scene.roles(OPERATOR), ["operator"]);
    assert_eq!(scene.roles(AUDITOR_BY_GROUP), ["auditor"]);
    assert_eq!(scene.roles(ROOT), ["admin"]);
    scene.expect(OPERATOR, &["status"], 0, "uid:41001 (uid 41001): operator; reads technical;");

    scene.expect(STRANGER, &["status"], 3, "uid:41009 (uid 41009) has no role");
    scene.expect(STRANGER, &["status"], 3, "[[access]]");
    scene.expect(AUDITOR_BY_GROUP, &["inbox"], 0, "Nothing waits");
    scene.expect(OPERATOR, &["inbox"], 0, "Nothing waits");
    scene.expect(ROOT, &["inbox"], 3, "one of the roles auditor, operator, releaser");
    let send = |desk: &'static str| [&NOTICE[..], &[desk]].concat();
    // Whoever may send gets as far as the peer that is not there.
    scene.expect(OPERATOR, &send("technical"), 5, "cert.zz is not an enrolled peer");
    scene.expect(OPERATOR, &send("diplomatic"), 3, "for the desk diplomatic");
    scene.expect(AUDITOR_BY_GROUP, &send("technical"), 3, "you need the role operator");
    scene.expect(ROOT, &send("technical"), 3, "you need the role operator");
    scene.expect(OPERATOR, &["peer", "unblock", "cert.zz", "flash"], 3, "you need the role admin");
    scene.expect(ROOT, &["peer", "unblock", "cert.zz", "flash"], 5, "cert.zz is not an enrolled peer");
    scene.expect(AUDITOR_BY_GROUP, &["verify"], 0, "everything verifies");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_a_user_may_do_and_a_bad_one_changes_nothing() {
    let scene = match scene(ACCESS).await {
        Ok(scene) => scene,
        Err(why) => return skip(why),
    };
    scene.reload(&ACCESS.replace("uid:41001", "uid:41009"));
    scene.becomes(STRANGER, &["operator"]);
    assert!(scene.roles(OPERATOR).is_empty(), "all entries change together");
    // Nobody would be an admin: refused, with what to do.
    scene.reload(&ACCESS.replace("\"admin\"", "\"auditor\""));
    let begun = Instant::now();
    while !fs::read_to_string(scene.node.output()).unwrap().contains("not reloaded") {
        assert!(begun.elapsed() < PATIENCE, "the bad configuration is never reported");
    }
    assert_eq!((scene.roles(ROOT), scene.roles(STRANGER)), (vec!["admin".to_owned()], vec!["operator".to_owned()]));
    scene.reload(ACCESS);
    scene.becomes(OPERATOR, &["operator"]);
}

/// A user of the system with a group beside its own; both are gone when this is dropped.
struct Member {
    name: String,
    ids: (u32, u32),
}

impl Member {
    fn make() -> Option<Self> {
        let name = format!("aldis-t{}", std::process::id());
        let done = |program: &str, args: &[&str]| {
            Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
        };
        // From here on, dropping it removes whatever was made so far.
        let mut member = Self { name, ids: (0, 0) };
        let group = member.group();
        if !done("groupadd", &[&group]) || !done("useradd", &["-M", "-U", "-G", &group, &member.name]) {
            return None;
        }
        let user = nix::unistd::User::from_name(&member.name).ok()??;
        member.ids = (user.uid.as_raw(), user.gid.as_raw());
        Some(member)
    }

    fn group(&self) -> String {
        format!("{}g", self.name)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        for (program, name) in [("userdel", self.name.clone()), ("groupdel", self.group())] {
            // One that was never made cannot be removed.
            let _removed = Command::new(program).arg(name).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplementary_group_gives_its_role_until_the_user_leaves_it() {
    if !nix::unistd::Uid::effective().is_root() {
        return skip("only root can make a user");
    }
    let Some(member) = Member::make() else { return skip("useradd and groupadd made no user here") };
    let access = format!("{ACCESS}[[access]]\nrole = \"releaser\"\ngroups = [\"{}\"]\n", member.group());
    let scene = match scene(&access).await {
        Ok(scene) => scene,
        Err(why) => return skip(why),
    };
    // The process itself has none but its primary group: the role comes from the user database, by name.
    assert_eq!(scene.roles(member.ids), ["releaser"]);
    scene.expect(member.ids, &["status"], 0, &format!("{} (uid {}): releaser", member.name, member.ids.0));
    scene.expect(member.ids, &["inbox"], 0, "Nothing waits");
    let left = Command::new("usermod").args(["-G", "", &member.name]).status();
    assert!(left.is_ok_and(|status| status.success()));
    assert!(scene.roles(member.ids).is_empty(), "nothing is remembered from the request before");
    scene.reload(&ACCESS.replace("uid:41001", &member.name));
    scene.becomes(member.ids, &["operator"]);
}
