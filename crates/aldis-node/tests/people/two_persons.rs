//! Three real daemons and people with Unix users of their own: nobody alone lets a peer in, whatever they type in whatever
//! order, and anybody alone keeps one out.

use super::scene::{Ids, PATIENCE, Scene, scene_of, skip};
use aldis_control::{LinkState, PeerQuery};
use serde_json::Value;
use std::time::{Duration, Instant};

const ANA: Ids = (41_011, 41_011);
const BRUNO: Ids = (41_012, 41_012);
const OPERATOR: Ids = (41_013, 41_013);
const ACCESS: &str = r#"
[[access]]
role = "admin"
users = ["uid:41011", "uid:41012"]
[[access]]
role = "operator"
users = ["uid:41013"]
[[access]]
role = "auditor"
users = ["root"]
"#;
/// How soon a revoked peer must be cut off.
const CUT_WITHIN: Duration = Duration::from_secs(1);

impl Scene {
    fn json(&self, who: Ids, words: &[&str]) -> Value {
        let ended = self.call(who, &[words, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{who:?} {words:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Puts the card of another node on record.
    fn add(&self, other: &Scene) {
        let card = other.node.dir().join("card.aldis");
        let readable = self.aldis.with_file_name(format!("{}.card", other.node.id));
        std::fs::copy(card, &readable).unwrap();
        std::fs::set_permissions(&readable, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(self.json(ANA, &["peer", "add", readable.to_str().unwrap()])["state"], "pending");
    }

    /// What this node's administrator reads out about itself, for the peer `to`.
    fn words_for(&self, to: &Scene) -> String {
        self.json(ANA, &["peer", "verify", &to.node.id, "--show"])["ours"].as_str().unwrap().to_owned()
    }

    fn state(&self, peer: &str) -> String {
        let peers = self.json(ANA, &["peer", "list"]);
        let found = peers.as_array().unwrap().iter().find(|found| found["id"] == peer).unwrap();
        found["state"].as_str().unwrap().to_owned()
    }

    async fn link(&self, peer: &str) -> LinkState {
        self.node.client().peer(&PeerQuery { id: peer.to_owned() }).await.unwrap().summary.link
    }

    async fn link_becomes(&self, peer: &str, wanted: LinkState) -> Duration {
        let since = Instant::now();
        while self.link(peer).await != wanted {
            assert!(since.elapsed() < PATIENCE, "the link with {peer} never is {wanted:?}");
        }
        since.elapsed()
    }

    /// Has Ana ask for something; gives the number of the request.
    fn asks(&self, words: &[&str]) -> String {
        self.json(ANA, words)["request"].as_u64().unwrap_or_else(|| panic!("{words:?} was done alone")).to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_one_person_lets_a_peer_in_and_any_one_keeps_it_out() {
    let (br, cl) = match (scene_of("cert.br", ACCESS).await, scene_of("cert.cl", ACCESS).await) {
        (Ok(br), Ok(cl)) => (br, cl),
        (Err(why), _) | (_, Err(why)) => return skip(why),
    };
    br.add(&cl);
    cl.add(&br);
    let send = ["send", "--to", "cert.cl", "--precedence", "flash", "--tlp", "green", "--subject", "S"];
    br.expect(OPERATOR, &send, 3, "cert.cl is pending");
    let words = cl.words_for(&br);
    let wrong = br.words_for(&cl);
    let verify = |words: &str| -> Vec<String> {
        let words = words.to_owned();
        ["peer", "verify", "cert.cl", "--why", "called", "--phrase", &words].map(str::to_owned).to_vec()
    };
    let call = |who, words: Vec<String>| br.call(who, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = call(ANA, verify(&wrong));
    assert!(ended.code == Some(3) && ended.stderr.contains("not the words"), "{ended:?}");
    let ended = call(OPERATOR, verify(&words));
    assert!(ended.code == Some(3) && ended.stderr.contains("role admin"), "{ended:?}");
    let request = br.asks(&["peer", "verify", "cert.cl", "--why", "called", "--phrase", &words]);
    br.expect(ANA, &["approve", &request, "--yes"], 3, "is yours");
    br.expect(OPERATOR, &["approve", &request, "--yes"], 3, "role admin");
    br.expect((0, 0), &["approve", &request, "--yes"], 3, "role admin");
    assert_eq!(br.state("cert.cl"), "pending");
    br.expect(BRUNO, &["approve", &request, "--yes"], 0, "cert.cl");
    br.expect(BRUNO, &["approve", &request, "--yes"], 5, "no request");
    assert_eq!(br.state("cert.cl"), "verified");
    // The other side has not verified us yet: still no link.
    assert_ne!(br.link("cert.cl").await, LinkState::Up);
    let request = cl.asks(&["peer", "verify", "cert.br", "--why", "called", "--phrase", &br.words_for(&cl)]);
    cl.expect(BRUNO, &["approve", &request, "--yes"], 0, "cert.br");
    br.link_becomes("cert.cl", LinkState::Up).await;
    br.expect(OPERATOR, &[&send[..], &["--wait"]].concat(), 0, "stored");
    // One person cuts the peer off, at once; nobody alone takes that back.
    br.expect(BRUNO, &["peer", "revoke", "cert.cl", "--why", "their key is stolen"], 0, "revoked");
    let took = br.link_becomes("cert.cl", LinkState::Down).await;
    assert!(took < CUT_WITHIN, "cut only after {took:?}");
    br.expect(OPERATOR, &send, 3, "cert.cl is revoked");
    let request = br.asks(&["peer", "revoke", "cert.cl", "--undo", "--why", "it was found"]);
    br.expect(ANA, &["approve", &request, "--yes"], 3, "is yours");
    br.expect(BRUNO, &["approve", &request, "--yes"], 0, "verified");
    br.link_becomes("cert.cl", LinkState::Up).await;
    // A third node's word: its card is on record, its key is not compared, and nobody reaches it.
    let ar = scene_of("cert.ar", ACCESS).await.expect("the third stands like the first two");
    br.add(&ar);
    ar.add(&br);
    assert_eq!((br.state("cert.ar"), br.link("cert.ar").await), ("pending".to_owned(), LinkState::Down));
    // A next identity key needs two persons as well.
    cl.expect(ANA, &["key", "rotate", "identity", "--yes"], 0, "");
    let since = Instant::now();
    while !br.json(ANA, &["peer", "list"])[1]["next_key_waits"].as_bool().unwrap() {
        assert!(since.elapsed() < PATIENCE, "the next key is never announced");
    }
    let request = br.asks(&["peer", "rotate", "cert.cl", "--why", "announced", "--phrase", &cl.words_for(&br)]);
    br.expect(ANA, &["approve", &request, "--yes"], 3, "is yours");
    br.expect(BRUNO, &["approve", &request, "--yes"], 0, "cert.cl");
    br.link_becomes("cert.cl", LinkState::Up).await;
    br.expect(OPERATOR, &[&send[..], &["--wait"]].concat(), 0, "stored");
}
