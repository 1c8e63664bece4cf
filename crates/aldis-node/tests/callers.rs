//! Real Unix users at the control socket: the daemon and the command `aldis` as processes, each call under another uid.
//! Only root can play others, so anybody else sees a line that says that nothing was tried.

use aldis_node::demo::process::Process;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take; a bound for a busy machine, not a wait.
const PATIENCE: Duration = Duration::from_mins(1);

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

/// A running daemon and a copy of `aldis` that every user may run.
struct Scene {
    _parent: tempfile::TempDir,
    node: Process,
    aldis: PathBuf,
    plain: String,
}

/// How a call ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Says why nothing is tried, where it is seen although the test passes.
fn skip(why: &str) {
    let line = format!("SKIPPED, nothing was tried: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The scene, or the reason why there can be none.
async fn scene(access: &str) -> Result<Scene, &'static str> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err("only root can play other users");
    }
    let built = Path::new(env!("CARGO_BIN_EXE_aldisd")).with_file_name("aldis");
    if !built.exists() {
        return Err("there is no `aldis` beside `aldisd`: cargo build -p aldis-cli");
    }
    let parent = tempfile::tempdir().unwrap();
    let aldis = parent.path().join("aldis");
    fs::copy(built, &aldis).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_aldisd"));
    let mut node = Process::init(program, parent.path(), "cert.br", "CERT", "BR").await.unwrap();
    let plain = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), format!("{plain}{access}")).unwrap();
    node.start().await.unwrap();
    // The directory is private and the socket the group's: here strangers must get as far as being refused.
    for (path, mode) in [(parent.path(), 0o711), (&aldis, 0o755), (node.dir(), 0o711), (&node.socket(), 0o666)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    Ok(Scene { _parent: parent, node, aldis, plain })
}

impl Scene {
    fn call(&self, (uid, gid): (u32, u32), words: &[&str]) -> Ended {
        let mut command = Command::new(&self.aldis);
        command.env_clear().env("ALDIS_SOCKET", self.node.socket()).current_dir("/").args(words);
        let child = command.uid(uid).gid(gid).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        // A command that takes no text may have ended already.
        let _closed = child.stdin.take().unwrap().write_all(b"text");
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    fn expect(&self, who: (u32, u32), words: &[&str], code: i32, said: &str) {
        let ended = self.call(who, words);
        assert_eq!(ended.code, Some(code), "{who:?} {words:?}: {ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(said), "{who:?} {words:?}: {ended:?}");
    }

    fn roles(&self, who: (u32, u32)) -> Vec<String> {
        let ended = self.call(who, &["status", "--json"]);
        if ended.code != Some(0) {
            assert!(ended.stderr.contains("missing-role"), "{ended:?}");
            return Vec::new();
        }
        let status: Value = serde_json::from_str(&ended.stdout).unwrap();
        let roles = status["you"]["roles"].as_array().unwrap().iter();
        roles.map(|role| role.as_str().unwrap().to_owned()).collect()
    }

    /// Puts other entries into the configuration and has them read.
    fn reload(&self, access: &str) {
        fs::write(self.node.config(), format!("{}{access}", self.plain)).unwrap();
        let pid = self.node.pid().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    fn becomes(&self, who: (u32, u32), roles: &[&str]) {
        let begun = Instant::now();
        while self.roles(who) != roles {
            let reports = || fs::read_to_string(self.node.output()).unwrap();
            assert!(begun.elapsed() < PATIENCE, "{who:?} never has {roles:?}: {}", reports());
        }
    }
}

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
