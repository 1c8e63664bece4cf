//! Coming to a hotline and speaking in it, where what is asked does not fit what is there.

use super::drafts::{STRICT, strict_with};
use super::support::{api, notice, two};
use aldis_control::{HotlineLineRequest, HotlineRequest, RecallRequest, SendRequest, Tlp};
use aldis_core::limits::Discipline;

fn asked(tlp: Option<Tlp>) -> HotlineRequest {
    HotlineRequest {
        peer: "cert.cl".to_owned(),
        tlp,
        subject: Some("a worm".to_owned()),
        text: None,
        desk: None,
        exercise: None,
        author: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_whoever_joins_under_another_marking_is_refused_and_told_which_it_is() {
    let (br, _cl) = two().await;
    br.client.hotline_come(&asked(Some(Tlp::Green))).await.unwrap();
    let error = api(br.client.hotline_come(&asked(Some(Tlp::Amber))).await);
    assert_eq!((error.code.as_str(), error.exit), ("marking-mismatch", 3));
    assert!(error.message.contains("TLP:GREEN") && error.advice.contains("--tlp green"), "{error:?}");
    for tlp in [None, Some(Tlp::Green)] {
        assert!(br.client.hotline_come(&asked(tlp)).await.unwrap().session.is_some(), "{tlp:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_line_for_another_conversation_is_not_said_in_this_one() {
    let (br, _cl) = two().await;
    let case = br.client.hotline_come(&asked(Some(Tlp::Green))).await.unwrap().session.unwrap().case;
    let line = |case: &str| HotlineLineRequest {
        peer: "cert.cl".to_owned(),
        case: case.to_owned(),
        text: "hello".to_owned(),
        author: None,
    };
    let error = api(br.client.hotline_line(&line(&"a".repeat(26))).await);
    assert_eq!((error.code.as_str(), error.exit), ("other-hotline", 3));
    assert!(error.message.contains(&case) && error.advice.contains("aldis hotline cert.cl"), "{error:?}");
    assert_eq!(api(br.client.hotline_line(&line("P1")).await).code, "bad-field");
    br.client.hotline_line(&line(&case)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_its_release_is_named_and_not_composed_again() {
    let (br, _cl) = strict_with(STRICT).await;
    let error = api(br.client.hotline_come(&asked(Some(Tlp::Green))).await);
    assert_eq!((error.code.as_str(), error.exit), ("waits-for-release", 3));
    let again = api(br.client.hotline_come(&asked(Some(Tlp::Green))).await);
    assert_eq!(again, error, "the same draft is named");
    assert_eq!(br.client.drafts().await.unwrap().len(), 1);
    // An exercise that waits keeps nobody from calling for real.
    let exercise = HotlineRequest { exercise: Some("BLUE".to_owned()), ..asked(Some(Tlp::Green)) };
    assert_ne!(api(br.client.hotline_come(&exercise).await), error);
    assert_eq!(br.client.drafts().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_that_open_a_hotline_count_like_those_of_any_flash() {
    let (br, _cl) = strict_with(Discipline { release_flash: false, flash_words: 4, ..STRICT }).await;
    let long = HotlineRequest { text: Some("one two three".to_owned()), ..asked(Some(Tlp::Green)) };
    let error = api(br.client.hotline_come(&long).await);
    assert_eq!((error.code.as_str(), error.exit), ("too-long", 3));
    assert!(!error.advice.contains("--long") && error.advice.contains("lines"), "{error:?}");
    let short = HotlineRequest { text: Some("one two".to_owned()), ..long };
    br.client.hotline_come(&short).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_free_words_leave_with_a_recall_of_what_took_a_second_person() {
    let recall = |id: &dyn ToString, text: &str| RecallRequest {
        id: id.to_string(),
        to: Vec::new(),
        reason: "wrong-recipient".to_owned(),
        text: Some(text.to_owned()),
        author: None,
    };
    let (br, _cl) = strict_with(STRICT).await;
    let sent = br.client.send(&notice(&["cert.cl"])).await.unwrap().messages;
    br.client.recall(&recall(&sent[0].id, "not meant for you")).await.unwrap();
    let red = SendRequest { tlp: Tlp::Red, ..notice(&["cert.cl"]) };
    let draft = br.client.send(&red).await.unwrap().draft.unwrap();
    let aldis_core::effect::Done::Submitted(sent) = super::drafts::release_as_another(&br, draft).await else {
        panic!("not sent")
    };
    let error = api(br.client.recall(&recall(&sent[0].0, "the whole secret")).await);
    assert_eq!((error.code.as_str(), error.exit), ("needs-release", 3));
    assert!(error.advice.contains("--text"), "{error:?}");
    br.client.recall(&recall(&sent[0].0, "")).await.unwrap();
}
