//! The demonstration comes true from its first chapter to its last, in the time somebody is willing to watch.

use std::process::Command;
use std::time::{Duration, Instant};

/// Several times what it takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_demonstration_comes_true() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_aldisd")).arg("demo").arg("--dir").arg(dir.path()).output().unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    println!("it took {:?}\n{told}", begun.elapsed());
    assert!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
    for line in [
        "5. Nobody answers at cert.cl",
        "step 1 of 2 at cert.cl, alerted, 1 reached",
        "step 2 of 2 at cert.cl, alerted, 1 reached",
        "6. cert.br takes a notice back",
        "its body is erased there",
        "cert.cl: ",
        "All 9 steps came true.",
    ] {
        assert!(told.contains(line), "`{line}` is missing:\n{told}");
    }
}
