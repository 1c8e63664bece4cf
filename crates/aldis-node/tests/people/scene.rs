//! The daemon and the command `aldis` as processes, each call under a Unix user of its own. Only root can play others.

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
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A user and its primary group.
pub(crate) type Ids = (u32, u32);

/// A running daemon and a copy of `aldis` that every user may run.
pub(crate) struct Scene {
    _parent: tempfile::TempDir,
    pub(crate) node: Process,
    pub(crate) aldis: PathBuf,
    plain: String,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Says why nothing is tried, where it is seen although the test passes.
pub(crate) fn skip(why: &str) {
    let line = format!("SKIPPED, nothing was tried: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The scene, or the reason why there can be none.
pub(crate) async fn scene_of(id: &str, access: &str) -> Result<Scene, &'static str> {
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
    let mut node = Process::init(program, parent.path(), id, "CERT", "BR").await.unwrap();
    // Nodes of tests have one administrator unless these entries say otherwise: here two persons are the rule.
    let plain = fs::read_to_string(node.config()).unwrap().replace("two_persons = false", "two_persons = true");
    fs::write(node.config(), format!("{plain}{access}")).unwrap();
    node.start().await.unwrap();
    // The directory is private and the socket the group's: here strangers must get as far as being refused.
    for (path, mode) in [(parent.path(), 0o711), (&aldis, 0o755), (node.dir(), 0o711), (&node.socket(), 0o666)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    Ok(Scene { _parent: parent, node, aldis, plain })
}

/// The same for a node that stands alone.
pub(crate) async fn scene(access: &str) -> Result<Scene, &'static str> {
    scene_of("cert.br", access).await
}

impl Scene {
    pub(crate) fn call(&self, (uid, gid): Ids, words: &[&str]) -> Ended {
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
    pub(crate) fn expect(&self, who: Ids, words: &[&str], code: i32, said: &str) {
        let ended = self.call(who, words);
        assert_eq!(ended.code, Some(code), "{who:?} {words:?}: {ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(said), "{who:?} {words:?}: {ended:?}");
    }

    pub(crate) fn roles(&self, who: Ids) -> Vec<String> {
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
    pub(crate) fn reload(&self, access: &str) {
        fs::write(self.node.config(), format!("{}{access}", self.plain)).unwrap();
        let pid = self.node.pid().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    pub(crate) fn becomes(&self, who: Ids, roles: &[&str]) {
        let begun = Instant::now();
        while self.roles(who) != roles {
            let reports = || fs::read_to_string(self.node.output()).unwrap();
            assert!(begun.elapsed() < PATIENCE, "{who:?} never has {roles:?}: {}", reports());
        }
    }
}
