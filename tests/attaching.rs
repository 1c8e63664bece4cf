//! Files with a notice, as people meet them: two whole nodes, and the real `aldis` at both ends.

use aldis_control::{AttachmentQuery, AttachmentState, Client, ClientError, MessageQuery};
use aldis_tests::certs::{Cert, eventually, two_certs};
use aldis_tests::content::content;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The command `aldis` beside this program, as `cargo test --workspace` builds it.
fn aldis() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = here.parent().and_then(Path::parent).unwrap().join("aldis");
    assert!(built.exists(), "{} is missing; build it first: cargo build -p aldis-cli", built.display());
    built
}

/// Runs the command at a node to its end, beside the runtime that the nodes need.
async fn run(cert: &Cert, words: &[&str]) -> Output {
    let mut command = Command::new(aldis());
    command.env("ALDIS_SOCKET", cert.dir().join("aldis.sock")).args(words).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn done(cert: &Cert, words: &[&str]) -> String {
    let output = run(cert, words).await;
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn client(cert: &Cert) -> Client {
    Client::new(cert.dir().join("aldis.sock"))
}

/// Where the files of a message are, in its order.
async fn states(cert: &Cert, id: &str) -> Vec<AttachmentState> {
    match client(cert).message(&MessageQuery { id: id.to_owned() }).await {
        Ok(view) => view.row.attachments.iter().map(|file| file.state).collect(),
        // It is not in the log yet.
        Err(ClientError::Api(_)) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Sends a notice with files, and says what the command said.
async fn send(br: &Cert, files: &[&Path], more: &[&str]) -> String {
    let text = br.dir().join("text");
    std::fs::write(&text, "See the files.").unwrap();
    let notice = "send --to cert.cl --precedence routine --tlp amber --subject Samples --body";
    let mut words: Vec<&str> = notice.split(' ').collect();
    words.push(text.to_str().unwrap());
    words.extend(files.iter().flat_map(|file| ["--attach", file.to_str().unwrap()]));
    words.extend(more);
    done(br, &words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_reach_the_other_side_whole_and_are_saved_only_where_a_person_says() {
    let (br, cl) = two_certs().await;
    let (large, small) = (br.dir().join("samples.7z"), br.dir().join("list.csv"));
    std::fs::write(&large, content(9_000_001, 1)).unwrap();
    std::fs::write(&small, "192.0.2.7\n").unwrap();
    let said = send(&br, &[&large, &small], &["--wait"]).await;
    assert!(said.contains("cert.br/cert.cl/R1"), "{said}");
    let all_held = |cert| async move {
        states(cert, "cert.br/cert.cl/R1").await == [AttachmentState::Held, AttachmentState::Held]
    };
    eventually("both files are held where they went", || all_held(&cl)).await;
    eventually("their sender knows it", || all_held(&br)).await;
    let shown = done(&cl, &["show", "cert.br/R1"]).await;
    for part in ["samples.7z", "list.csv", "held, verified", "8.5 MiB (9000001 bytes)", "text/csv"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for (number, sent) in [("1", &large), ("2", &small)] {
        let saved = cl.dir().join(format!("saved-{number}"));
        done(&cl, &["attachment", "cert.br/R1", number, "--save", saved.to_str().unwrap()]).await;
        assert!(std::fs::read(saved).unwrap() == std::fs::read(sent).unwrap(), "file {number}, byte for byte");
    }
    let again = cl.dir().join("saved-1");
    let output = run(&cl, &["attachment", "cert.br/R1", "1", "--save", again.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1), "an existing file is not overwritten: {output:?}");
    assert!(!cl.dir().join("samples.7z").exists(), "the sender names no file here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_read_and_its_sender_has_the_files_while_they_are_on_their_way() {
    let (br, mut cl) = two_certs().await;
    cl.stop().await;
    let large = br.dir().join("samples.7z");
    std::fs::write(&large, content(3_000_000, 2)).unwrap();
    send(&br, &[&large], &[]).await;
    assert_eq!(states(&br, "cert.br/cert.cl/R1").await, [AttachmentState::Waiting]);
    let saved = br.dir().join("own");
    done(&br, &["attachment", "cert.br/cert.cl/R1", "1", "--save", saved.to_str().unwrap()]).await;
    assert!(std::fs::read(saved).unwrap() == std::fs::read(&large).unwrap());
    let missing = AttachmentQuery { id: "cert.br/cert.cl/R1".to_owned(), number: 2 };
    let refused = client(&br).attachment(&missing).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("has no file 2"), "{refused}");
}
