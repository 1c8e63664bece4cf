//! What decoded bytes say, as JSON: every field by the name it has in docs/protocol.md. Byte strings are in hexadecimal,
//! times in milliseconds, marks `[lane, seq, digest]`, extensions `[tag, bytes]`.

use super::hex;
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::codes::Extensions;
use aldis_wire::frame::Frame;
use aldis_wire::header::{ExactHeader, Reference};
use aldis_wire::hello::Hello;
use aldis_wire::lane::{LaneMark, Marks};
use aldis_wire::receipt::Receipt;
use serde_json::{Value, json};

pub(super) fn mark(mark: &LaneMark) -> Value {
    json!([mark.lane.code(), mark.seq.get(), mark.digest.to_hex()])
}

pub(super) fn marks(marks: &Marks) -> Value {
    marks.iter().map(|one| mark(&one)).collect()
}

pub(super) fn extensions(extensions: &Extensions) -> Value {
    extensions.iter().map(|extension| json!([extension.tag, hex(&extension.bytes)])).collect()
}

pub(super) fn header(header: &ExactHeader) -> Value {
    let reference = |one: &Reference| json!([one.role.0, one.envelope.to_string(), one.digest.to_hex()]);
    json!({
        "version": header.version,
        "key_id": hex(&header.key_id.0),
        "incarnation": header.incarnation.0,
        "from": header.from.as_str(),
        "to": header.to.as_str(),
        "also_to": header.also_to.iter().map(aldis_wire::ids::NodeId::as_str).collect::<Value>(),
        "desk": header.desk.0,
        "lane": header.lane.code(),
        "seq": header.seq.get(),
        "previous": header.previous.to_hex(),
        "received": header.received.as_ref().map(mark),
        "sent_at": header.sent_at.get(),
        "expires_at": header.expires_at.get(),
        "case": header.case.to_string(),
        "references": header.references.iter().map(reference).collect::<Value>(),
        "author": header.author.as_str(),
        "released_by": header.released_by.as_deref(),
        "on_behalf_of": header.on_behalf_of.as_deref(),
        "tlp": header.tlp.0,
        "exercise": header.exercise.as_deref(),
        "kind": header.kind.as_str(),
        "kind_version": header.kind_version,
        "body_length": header.body_length,
        "body_commitment": header.body_commitment.to_hex(),
        "extensions": extensions(&header.extensions),
        "acknowledge_within_s": header.acknowledge_within_s(),
        "digest": header.digest().to_hex(),
    })
}

pub(super) fn receipt(receipt: &Receipt) -> Value {
    json!({
        "version": receipt.version,
        "key_id": hex(&receipt.key_id.0),
        "incarnation": receipt.incarnation.0,
        "from": receipt.from.as_str(),
        "to": receipt.to.as_str(),
        "stored": marks(&receipt.stored),
        "sent": marks(&receipt.sent),
        "stored_at": receipt.stored_at.get(),
        "commitment": receipt.commitment.to_hex(),
        "extensions": extensions(&receipt.extensions),
        "witness": receipt.witness().map(|witness| witness.to_hex()),
    })
}

pub(super) fn hello(hello: &Hello) -> Value {
    json!({
        "versions": hello.versions.to_vec(),
        "role": hello.role.0,
        "from": hello.from.as_str(),
        "to": hello.to.as_str(),
        "exporter": hex(&hello.exporter),
        "key_id": hex(&hello.key_id.0),
        "incarnation": hello.incarnation.0,
        "card": hello.card.to_hex(),
        "peer_card": hello.peer_card.to_hex(),
        "received": marks(&hello.received),
        "sent": marks(&hello.sent),
        "sent_at": hello.sent_at.get(),
        "extensions": extensions(&hello.extensions),
    })
}

pub(super) fn card(verified: &VerifiedCard) -> Value {
    let card = verified.card();
    let contacts = card.contacts.iter().map(|contact| {
        json!({
            "desk": contact.desk.0,
            "name": contact.name.as_str(),
            "telephone": contact.telephone.as_str(),
            "email": contact.email.as_str(),
            "hours": contact.hours.as_str(),
            "languages": contact.languages.iter().map(Text::as_str).collect::<Value>(),
        })
    });
    let kinds = card.kinds.iter().map(|known| json!([known.kind.as_str(), known.versions.to_vec()]));
    json!({
        "version": card.version,
        "id": card.id.as_str(),
        "name": card.name.as_str(),
        "country": card.country.as_str(),
        "identity_key": hex(&card.identity_key),
        "tls_certificate": hex(&card.tls_certificate),
        "tls_name": card.tls_name.as_deref(),
        "endpoints": card.endpoints.iter().map(Text::as_str).collect::<Value>(),
        "contacts": contacts.collect::<Value>(),
        "kinds": kinds.collect::<Value>(),
        "issued_at": card.issued_at.get(),
        "valid_until": card.valid_until.get(),
        "sequence": card.sequence,
        "extensions": extensions(&card.extensions),
        "digest": verified.digest().to_hex(),
        "key_id": hex(&verified.key().id().0),
        "fingerprint": verified.fingerprint(),
    })
}

pub(super) fn frame(frame: &Frame) -> Value {
    match frame {
        Frame::Hello(payload) => json!({"frame": "hello", "payload": hex(payload)}),
        Frame::Envelope(payload) => json!({"frame": "envelope", "payload": hex(payload)}),
        Frame::Receipt(payload) => json!({"frame": "receipt", "payload": hex(payload)}),
        Frame::Credit(credit) => json!({"frame": "credit", "lane": credit.lane.code(), "total": credit.total}),
        Frame::Ping(ping) => json!({"frame": "ping", "nonce": ping.nonce}),
        Frame::Pong(pong) => json!({"frame": "pong", "nonce": pong.nonce, "at": pong.at.get()}),
        Frame::Goodbye(goodbye) => json!({
            "frame": "goodbye",
            "code": goodbye.code.0,
            "name": goodbye.code.name(),
            "lane": goodbye.lane.map(aldis_wire::lane::Lane::code),
            "text": goodbye.text.as_str(),
        }),
        Frame::Chunk(chunk) => json!({
            "frame": "chunk",
            "attachment": chunk.attachment.to_hex(),
            "offset": chunk.offset,
            "bytes": hex(&chunk.bytes),
        }),
        Frame::Want(want) => {
            let attachment = want.attachment.to_hex();
            json!({"frame": "want", "attachment": attachment, "offset": want.offset, "bytes": want.bytes})
        }
        Frame::Fetch(fetch) => json!({
            "frame": "fetch",
            "from": fetch.from.as_str(),
            "lane": fetch.lane.code(),
            "first": fetch.first,
            "last": fetch.last,
        }),
        Frame::History(history) => json!({
            "frame": "history",
            "from": history.from.as_str(),
            "lane": history.lane.code(),
            "seq": history.seq,
            "bytes": hex(&history.bytes),
            "extensions": extensions(&history.extensions),
        }),
    }
}
