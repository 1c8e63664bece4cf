use super::*;
use crate::init::{self, CONFIG_FILE, NewNode};
use crate::keys::fixtures;
use aldis_wire::ids::NodeId;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A new node in a directory of its own; the path is its configuration's.
fn made() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let node = NewNode {
        dir: dir.path().to_owned(),
        id: NodeId::new("cert.br").unwrap(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        endpoints: vec!["cert.br:7443".parse().unwrap()],
        single_administrator: false,
    };
    init::init(&node, &fixtures::sealing(), &Clock::system()).unwrap();
    let path = dir.path().join(CONFIG_FILE);
    (dir, path)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn examined(path: &Path) -> Vec<Finding> {
    check(path, |_| fixtures::given(), &Clock::system()).unwrap()
}

/// The findings at a level, one a line.
fn at(level: Level, findings: &[Finding]) -> String {
    let texts: Vec<&str> =
        findings.iter().filter(|finding| finding.level == level).map(|finding| finding.text.as_str()).collect();
    texts.join("\n")
}

/// Adds to a section of a configuration that has it already.
fn add(path: &Path, section: &str, line: &str) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.replacen(&format!("[{section}]\n"), &format!("[{section}]\n{line}\n"), 1)).unwrap();
}

#[test]
fn a_new_node_is_fit_and_only_lacks_contacts() {
    let (dir, path) = made();
    let before: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let findings = examined(&path);
    assert!(is_fit(&findings), "{findings:?}");
    assert!(at(Level::Warning, &findings).starts_with("no [[contacts]]"), "{findings:?}");
    let after: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(before, after, "checking leaves nothing behind");
}

#[test]
fn each_fault_is_a_problem_that_says_what_to_do() {
    type Break = fn(&Path);
    let faults: [(Break, &str); 9] = [
        (|dir| set_mode(&dir.join("keys/identity.key"), 0o640), "chmod 600"),
        (|dir| set_mode(&dir.join("tls/tls.key"), 0o604), "chmod 600"),
        (|dir| set_mode(&dir.join("keys"), 0o770), "chmod go-w"),
        (|dir| fs::remove_file(dir.join("keys/identity.key")).unwrap(), "aldisd init"),
        (|dir| set_mode(&dir.join("data"), 0o750), "chmod 700"),
        (|dir| fs::remove_dir(dir.join("data")).unwrap(), "mkdir -m 700"),
        (|dir| fs::write(dir.join("card.aldis"), "x").unwrap(), "move the file away"),
        (|dir| fs::write(dir.join("aldis.sock"), "x").unwrap(), "no socket"),
        (|dir| add(&dir.join(CONFIG_FILE), "journal", "reserve_mib = 1048576"), "make room"),
    ];
    for (number, (fault, advice)) in faults.into_iter().enumerate() {
        let (dir, path) = made();
        fault(dir.path());
        let findings = examined(&path);
        assert!(!is_fit(&findings), "fault {number}");
        let problems = at(Level::Problem, &findings);
        assert!(problems.contains(advice), "fault {number}: {problems}");
    }
}

#[test]
fn a_data_directory_that_nobody_can_write_in_is_a_fault() {
    // Of this user, with mode 0500, and not even root writes there.
    let fault = data_dir_fault(Path::new("/proc/self/fd")).unwrap();
    assert!(fault.contains("cannot write"), "{fault}");
    assert!(data_dir_fault(Path::new("/proc/self/status")).unwrap().contains("not a directory"));
}

#[test]
fn a_certificate_of_another_key_is_a_problem() {
    let ((one, path), (other, _)) = (made(), made());
    fs::copy(other.path().join("tls/tls.crt"), one.path().join("tls/tls.crt")).unwrap();
    assert!(at(Level::Problem, &examined(&path)).contains("was not made for the key"));
}

#[test]
fn keys_of_another_node_are_a_problem() {
    let ((one, path), (other, _)) = (made(), made());
    fs::copy(other.path().join("keys/identity.key"), one.path().join("keys/identity.key")).unwrap();
    assert!(at(Level::Problem, &examined(&path)).contains("put the right key back"));
}

#[test]
fn an_address_in_use_is_a_warning_and_a_foreign_one_a_problem() {
    let (_dir, path) = made();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("127.0.0.1:0", &address)).unwrap();
    let findings = examined(&path);
    assert!(at(Level::Warning, &findings).contains(&format!("{address} is in use")), "{findings:?}");
    assert!(is_fit(&findings));
    // 192.0.2.0/24 is for documentation: no machine has it.
    fs::write(&path, text.replace("127.0.0.1:0", "192.0.2.1:0")).unwrap();
    assert!(at(Level::Problem, &examined(&path)).contains("cannot listen on 192.0.2.1:0"));
}

#[test]
fn what_runs_out_soon_is_a_warning_and_what_has_run_out_a_problem() {
    let (_dir, path) = made();
    let in_days = |days: i64| {
        let clock = Clock::system();
        clock.shift(days * 86_400_000);
        check(&path, |_| fixtures::given(), &clock).unwrap()
    };
    let soon = in_days(1_095 - 30);
    assert!(at(Level::Warning, &soon).contains("runs out in"), "{soon:?}");
    assert!(is_fit(&soon));
    assert!(at(Level::Problem, &in_days(1_096)).contains("check the clock"));
    assert!(at(Level::Problem, &in_days(-20_000)).contains("clock says"), "a clock long before this program");
}

#[test]
fn names_in_access_that_the_system_does_not_know_are_told() {
    let (_dir, path) = made();
    let good = fs::read_to_string(&path).unwrap();
    let operator = "[[access]]\nrole = \"operator\"\nusers = [\"root\", \"nobody-of-this-name\"]\n\
        groups = [\"no-group-of-this-name\", \"gid:4000000000\"]\n";
    let admin = "[[access]]\nrole = \"admin\"\nusers = [\"root\"]\n";
    fs::write(&path, format!("{good}\n{operator}{admin}")).unwrap();
    let findings = examined(&path);
    assert!(is_fit(&findings), "{findings:?}");
    let warnings = at(Level::Warning, &findings);
    assert!(warnings.contains("operator to the user `nobody-of-this-name`"), "{warnings}");
    assert!(warnings.contains("the group `no-group-of-this-name`"), "{warnings}");
    assert!(!warnings.contains("root") && !warnings.contains("4000000000"), "{warnings}");
    let nobody = admin.replace("root", "nobody-of-this-name");
    fs::write(&path, format!("{good}\n{nobody}")).unwrap();
    assert!(at(Level::Problem, &examined(&path)).contains("nobody to whom [[access]] gives admin"));
}

#[test]
fn i8_a_ladder_with_a_gap_and_a_channel_that_cannot_work_are_problems() {
    let (dir, path) = made();
    let good = fs::read_to_string(&path).unwrap();
    let office = "[[calendars]]\nname = \"office\"\nzone = \"America/Lima\"\nmon = [\"09:00-17:00\"]\n";
    let step = "[[ladder]]\nname = \"officer\"\nwait_s = [1, 2, 3, 4]\n\
        people = [{ name = \"ana\", hours = \"office\", channels = [\"watch\"] }]\n";
    fs::write(&path, format!("{good}\n{office}{step}")).unwrap();
    let problems = at(Level::Problem, &examined(&path));
    assert!(problems.contains("nobody on any step") && problems.contains("is on duty from"), "{problems}");
    let (program, secret, ca) = (dir.path().join("page"), dir.path().join("secret"), dir.path().join("ca.pem"));
    let pager = format!("[[alerts]]\nname = \"pager\"\ntype = \"command\"\ncommand = [\"{}\"]\n", program.display());
    let hook = "[[alerts]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://h.example/\"\n\
        secret_file = \"secret\"\nca_file = \"ca.pem\"\n";
    fs::write(&path, format!("{good}\n{pager}{hook}")).unwrap();
    let findings = examined(&path);
    let problems = at(Level::Problem, &findings);
    assert!(problems.contains("channel pager") && problems.contains("channel hook"), "{problems}");
    assert!(at(Level::Warning, &findings).contains("nobody on the [[ladder]] has the channel pager"));
    for file in [&program, &secret, &ca] {
        fs::write(file, "#!/bin/sh, and long enough").unwrap();
    }
    set_mode(&program, 0o757);
    set_mode(&secret, 0o644);
    let problems = at(Level::Problem, &examined(&path));
    assert!(problems.contains("chmod go-w") && problems.contains("chmod 600"), "{problems}");
    set_mode(&program, 0o755);
    set_mode(&secret, 0o600);
    assert!(is_fit(&examined(&path)), "{:?}", examined(&path));
}

#[test]
fn a_bad_file_is_an_error_of_its_own() {
    let (_dir, path) = made();
    add(&path, "log", "cache_mb = 1");
    let error = check(&path, |_| fixtures::given(), &Clock::system()).unwrap_err().to_string();
    assert!(error.contains("did you mean `cache_mib`?"), "{error}");
}
