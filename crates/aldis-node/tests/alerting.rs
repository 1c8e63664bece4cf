//! Alerts from end to end: two real daemons, a ladder of seconds that climbs because nobody answers, and a real HTTPS server
//! and a real mail server of the test's own that receive what the daemon says, without what they are not cleared for.

#[path = "../src/alerts/tests/certificate.rs"]
mod certificate;
#[expect(dead_code, reason = "here it always takes what comes; what else it does is tried beside the channel")]
#[path = "../src/alerts/tests/https_server.rs"]
mod https_server;
#[expect(dead_code, reason = "here it always takes what comes; what else it does is tried beside the channel")]
#[path = "../src/alerts/tests/mail_server.rs"]
mod mail_server;

use aldis_control::{Client, MessageId, MessageQuery, Precedence, SendRequest, Tlp};
use aldis_node::demo::process::{self, PATIENCE, Process};
use https_server::{Answer, HttpsServer};
use mail_server::{MailServer, Manner};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The subjects of a message above the clearance of both channels, and of one that only the webhook may tell; and what no
/// channel ever tells: the words of the body.
const ABOVE: &str = "reactor-compromised";
const CLEARED: &str = "phishing-wave";
const BODY: &str = "narrative-of-the-body";

/// A ladder of seconds. The duty officer has the webhook, the deputy the mail server.
const LADDER: &str = r#"
[deadlines]
receipt_s = [60, 60, 60, 60]
acknowledge = ["1s", "1s", "1s", "1s"]
attend_s = [3600, 3600, 3600, 3600]
on_arrival = ["flash"]

[[ladder]]
name = "duty officer"
wait_s = [1, 1, 1, 1]
people = [{ name = "Ana", channels = ["desk-system"] }]
[[ladder]]
name = "deputy"
wait_s = [1, 1, 1, 1]
people = [{ name = "Rui", email = "rui@cert.example", channels = ["mail"] }]
"#;

struct Scene {
    sender: Process,
    receiver: Process,
    webhook: HttpsServer,
    mail: MailServer,
    _dirs: [tempfile::TempDir; 3],
}

impl Scene {
    async fn new() -> Self {
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let webhook = HttpsServer::new(dirs[1].path(), &[Answer::Status(204)]).await;
        let mail = MailServer::new(dirs[2].path(), Manner::Takes, false).await;
        let program = Path::new(env!("CARGO_BIN_EXE_aldisd"));
        let mut sender = Process::init(program, dirs[0].path(), "cert.br", "sender", "BR").await.unwrap();
        let mut receiver = Process::init(program, dirs[0].path(), "cert.cl", "receiver", "CL").await.unwrap();
        configure(&receiver, &webhook, &mail);
        sender.start().await.unwrap();
        receiver.start().await.unwrap();
        process::introduce(&sender.client(), &receiver.client()).await.unwrap();
        Self { sender, receiver, webhook, mail, _dirs: dirs }
    }

    /// The steps of the ladder that the webhook heard of a message, with the subjects it was told.
    fn posted(&self, message: &MessageId) -> Vec<(u64, String)> {
        let documents = self.webhook.received().into_iter();
        let documents = documents.filter_map(|request| serde_json::from_slice::<Value>(&request.body).ok());
        let about = documents.filter(|document| document.to_string().contains(&message.to_string()));
        about.filter_map(|document| Some((document["step"].as_u64()?, document.to_string()))).collect()
    }
}

/// Gives a node the ladder and its channels.
fn configure(node: &Process, webhook: &HttpsServer, mail: &MailServer) {
    let secret = node.dir().join("desk-system.secret");
    std::fs::write(&secret, "a secret that both know\n").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let config = std::fs::read_to_string(node.config()).unwrap();
    let without = config.replacen("\n[deadlines]\n", "\n", 1);
    assert_ne!(config, without, "the configuration has the table");
    let channels = format!(
        "[[alerts]]\nname = \"desk-system\"\ntype = \"webhook\"\ntlp = \"GREEN\"\nurl = \"https://localhost:{}/in\"\n\
         secret_file = \"{}\"\nca_file = \"{}\"\n\
         [[alerts]]\nname = \"mail\"\ntype = \"smtp\"\ntlp = \"CLEAR\"\nserver = \"localhost\"\nport = {}\ntls = \"tls\"\n\
         ca_file = \"{}\"\nfrom = \"aldis@cert.example\"\n",
        webhook.port,
        secret.display(),
        webhook.ca_file.display(),
        mail.port,
        mail.ca_file.display()
    );
    std::fs::write(node.config(), format!("{without}\n{LADDER}\n{channels}")).unwrap();
}

fn flash(subject: &str, tlp: Tlp) -> SendRequest {
    let body = json!({ "subject": subject, "class": "malicious-code", "type": "c2-server", "narrative": BODY });
    SendRequest::new(&["cert.cl"], "incident", Precedence::Flash, tlp, body)
}

async fn sent(client: &Client, subject: &str, tlp: Tlp) -> MessageId {
    client.send(&flash(subject, tlp)).await.unwrap().messages.remove(0).id
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let (begun, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(5)));
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "this did not come true in time: {what}");
        pause.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_nobody_answers_and_real_servers_receive_each_step_without_what_they_are_not_cleared_for() {
    let scene = Scene::new().await;
    let client = scene.sender.client();
    let [above, cleared] = [sent(&client, ABOVE, Tlp::Amber).await, sent(&client, CLEARED, Tlp::Green).await];
    for message in [&above, &cleared] {
        until("the webhook hears of the arrival and of the first step", async || {
            let steps: Vec<u64> = scene.posted(message).into_iter().map(|(step, _)| step).collect();
            steps.contains(&0) && steps.contains(&1)
        })
        .await;
        let number = format!("F{}", message.seq);
        until("the second step comes by mail", async || scene.mail.heard().contains(&number)).await;
        until("the sender was told of each step", async || {
            let view = client.message(&MessageQuery { id: message.to_string() }).await.unwrap();
            let told = |step| format!("step {step} of 2 at cert.cl, alerted, 1 reached");
            [1, 2].iter().all(|step| view.history.iter().any(|entry| entry.cause.contains(&told(step))))
        })
        .await;
    }
    let (posts, letters) = (scene.webhook.received(), scene.mail.heard());
    assert!(posts.iter().all(|post| post.header("aldis-signature").starts_with("v1=")));
    let posts: Vec<String> = posts.iter().map(|post| String::from_utf8_lossy(&post.body).into_owned()).collect();
    assert!(posts.iter().any(|post| post.contains(CLEARED)), "GREEN may leave by it: {posts:?}");
    assert!(posts.iter().all(|post| !post.contains(ABOVE) && !post.contains(BODY)), "{posts:?}");
    assert!(letters.contains("RCPT TO:<rui@cert.example>"), "{letters}");
    assert!([ABOVE, CLEARED, BODY].iter().all(|words| !letters.contains(words)), "{letters}");
    // Both channels are known to work.
    let channels = scene.receiver.client().status().await.unwrap().channels;
    assert!(channels.iter().all(|channel| channel.last_success.is_some() && channel.failing.is_none()), "{channels:?}");
}
