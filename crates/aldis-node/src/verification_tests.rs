use super::*;
use crate::journal::{Entry, Journal, Options};
use aldis_wire::codec::Blob;
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
