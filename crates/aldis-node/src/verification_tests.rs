use super::*;
use crate::journal::{Entry, Journal, Options};
use aldis_core::record::{Restored, Standing, StandingChanged};
use aldis_wire::codec::{Blob, Text};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{Incarnation, NodeId, UnixMillis};
use aldis_wire::lane::Marks;
use aldis_wire::receipt::journal_commitment;
use aldis_wire::signing::IdentityKey;

/// A receipt of `cert.cl` in the journal of `cert.br`.
fn receipt(witness: Option<Digest>) -> Record {
    let key = IdentityKey::from_seed(&[2; 32]);
    let (from, to) = (NodeId::new("cert.cl").unwrap(), NodeId::new("cert.br").unwrap());
    let receipt = Receipt {
        version: 1,
        key_id: key.id(),
        incarnation: Incarnation(7),
        from: from.clone(),
        to,
        stored: Marks::default(),
        sent: Marks::default(),
        stored_at: UnixMillis::new(1_795_316_400_000),
        commitment: Digest::ZERO,
        extensions: Receipt::extensions_with(witness),
    };
    let receipt = Blob::new(receipt.sign(&key)).unwrap();
    Record::Receipted(Receipted { peer: from, receipt, at: UnixMillis::new(1_795_316_400_001) })
}

/// A journal of these records, a commit each; what receipts commit to after its first.
fn journal(dir: &Path, records: &[Record], nonce: u8) -> (Journal, Digest) {
    let mut options = Options::default();
    (options.reserve_bytes, options.prepare_ahead) = (0, false);
    let mut journal = Journal::create(dir, options).unwrap();
    let mut first = None;
    for record in records {
        let (nonce, record) = ([nonce; 16], record.encode());
        let committed = journal.commit(&[Entry { nonce, record: &record, body: None }]).unwrap();
        first.get_or_insert(journal_commitment(&nonce, committed.size, &committed.root));
    }
    (journal, first.unwrap())
}

fn findings(dir: &Path) -> (u64, Vec<String>) {
    let report = of_journal(dir, None, &mut |_, _, _| {}).unwrap();
    (report.witnesses, report.findings.into_iter().map(|finding| finding.what).collect())
}

#[test]
fn i9_receipts_in_the_journal_are_held_against_it() {
    let dir = tempfile::tempdir().unwrap();
    let stopped = || Record::Stopped(UnixMillis::new(1));
    let (_, held) = journal(&dir.path().join("probe"), &[stopped()], 1);
    let records = [stopped(), receipt(Some(held)), receipt(None)];
    let (_, first) = journal(&dir.path().join("one"), &records, 1);
    assert_eq!((first, findings(&dir.path().join("one"))), (held, (1, vec![])));
    // The same records, written once more: whole in itself, and not what the peer saw.
    let (_, first) = journal(&dir.path().join("other"), &records, 2);
    assert_ne!(first, held);
    let (witnesses, found) = findings(&dir.path().join("other"));
    assert_eq!((witnesses, found.len()), (1, 1));
    assert!(found[0].contains("cert.cl signed on 2026-11-22") && found[0].contains("rolled back"), "{found:?}");
}

#[test]
fn i9_what_a_peer_held_of_a_part_that_is_lost_by_our_own_word_is_no_finding_and_the_next_is() {
    let dir = tempfile::tempdir().unwrap();
    let peer = || NodeId::new("cert.cl").unwrap();
    let restored = || Record::Restored(Restored { by: Text::cut("ana"), at: UnixMillis::new(1), gap: None });
    let stands = |peer: NodeId, standing| {
        let (text, evidence, at) = (Text::cut("told"), None, UnixMillis::new(1));
        Record::Standing(StandingChanged { peer, standing, text, evidence, at })
    };
    let [lost, other] = [b"lost", b"else"].map(|what| receipt(Some(Digest::of(&[what]))));
    let lost = || lost.clone();
    let found = |name: &str, records: &[Record]| {
        journal(&dir.path().join(name), records, 1);
        findings(&dir.path().join(name)).1.len()
    };
    assert_eq!(found("no-word", &[lost(), lost()]), 1);
    let we_lost = || stands(peer(), Standing::WeLostHistory);
    for (name, word) in [("restored", restored()), ("noticed", we_lost())] {
        assert_eq!(found(name, &[word.clone(), lost(), lost()]), 0, "{name}");
        assert_eq!(found(&format!("{name}-late"), &[lost(), word.clone()]), 1, "{name}: it was named before");
        assert_eq!(
            found(&format!("{name}-more"), &[word, lost(), other.clone()]),
            1,
            "{name}: one is explained, not two"
        );
    }
    let of_others = stands(NodeId::new("cert.uy").unwrap(), Standing::WeLostHistory);
    assert_eq!(found("of-others", &[of_others, lost()]), 1);
    assert_eq!(found("of-theirs", &[stands(peer(), Standing::PeerLostHistory), lost()]), 1);
    assert_eq!(found("twice", &[restored(), lost(), restored(), we_lost(), other.clone()]), 0);
}
