//! Text that would move a cursor, end a line or turn the reading direction: kept byte for byte in the journal, and never
//! in a log line. Alone in its program, for the log of a program is one.

use aldis_tests::certs::{Scene, is_escaped};
use aldis_tests::raw_peer::body_of;
use aldis_wire::codec::Text;
use aldis_wire::frame::{Frame, Goodbye, GoodbyeCode};
use aldis_wire::lane::Lane;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Ends the line and forges another, clears the screen, turns the text around.
const HOSTILE: &str = "ok\nFORGED alarm=none\r\u{1b}[2J\u{202e}gnp.exe\u{2066}\u{7}\u{9b}31m";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_kept_exactly_and_logged_escaped() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter("aldis_node=trace,aldis_core=trace,aldis_wire=trace")
        .with_writer(move || writer.clone())
        .init();
    let mut scene = Scene::new().await;
    let body = body_of(&scene.node.id, HOSTILE);
    let mut header = scene.raw.header(&scene.node.id, Lane::Flash, &body);
    header.author = Text::cut(HOSTILE);
    header.on_behalf_of = Some(Text::cut(HOSTILE));
    let bytes = scene.raw.seal(header, &body);
    let mut link = scene.raw.link(&scene.node).await;
    link.envelope(&bytes).await;
    link.receipted(Lane::Flash, 1).await;
    let kept = scene.node.received().into_iter().find(|found| found.header.from == scene.raw.cert.id);
    assert_eq!(kept.expect("it is stored").header.author.as_str(), HOSTILE);
    for code in [GoodbyeCode::PROTOCOL_ERROR, GoodbyeCode::LANE_BLOCKED, GoodbyeCode(999)] {
        let mut link = scene.raw.link(&scene.node).await;
        let goodbye = Goodbye { code, lane: Some(Lane::Flash), text: Text::cut(HOSTILE) };
        link.frame(&Frame::Goodbye(goodbye)).await;
        assert!(link.goodbye().await.is_none());
    }
    let (_, words, _) = scene.node.node().notes.of(&scene.raw.cert.id).last_error.expect("a note");
    assert!(words.contains(HOSTILE), "what interfaces get is unchanged: they escape for their own screens");
    scene.unharmed("hostile text").await;
    let log = String::from_utf8(lines.0.lock().expect("no writer panics").clone()).expect("UTF-8");
    assert!(log.contains("FORGED"), "the goodbye's text is logged");
    for line in log.lines() {
        assert!(is_escaped(line) && !line.starts_with("FORGED"), "{line:?}");
    }
}
