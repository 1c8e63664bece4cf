//! A peer without a life of its own: a test signs for it whatever it likes, well-formed or hostile. The puppet is node 1,
//! the node under test node 0.

use super::{Node, Wired, World, incident, text};
use aldis_core::limits::Limits;
use aldis_core::peer::LinkId;
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, WithheldReason, assemble, commitment};
use aldis_wire::header::{ExactHeader, Header, Reference, ReferenceRole};
use aldis_wire::hello::{Hello, Role};
use aldis_wire::ids::{CaseId, EnvelopeId, Incarnation, Seq, UnixMillis};
use aldis_wire::kinds::Written;
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::receipt::Receipt;
use bytes::Bytes;

/// An envelope the puppet may send: change the header, then sign.
pub(crate) struct Forged {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
    pub(crate) withheld: Option<WithheldReason>,
}

impl Forged {
    /// Takes another body and kind.
    pub(crate) fn carry(&mut self, kind: &str, body: &[u8]) -> &mut Self {
        self.header.kind = Code::new(kind).expect("a code");
        body.clone_into(&mut self.body);
        self
    }

    /// Makes it an answer to a message.
    pub(crate) fn answers(&mut self, message: &(EnvelopeId, Digest), body: &Written) -> &mut Self {
        let (id, digest) = message;
        let reference = Reference { role: ReferenceRole::ANSWERS, envelope: id.clone(), digest: *digest };
        self.header.references = List::new(vec![reference]).expect("one fits");
        self.carry("acknowledgement", &body.bytes)
    }
}

impl World {
    /// A world whose node 1 is a puppet, with a link up.
    pub(crate) fn with_puppet() -> (Self, LinkId) {
        Self::with_puppet_and(&super::calm())
    }

    /// The same with limits of its own.
    pub(crate) fn with_puppet_and(limits: &Limits) -> (Self, LinkId) {
        let mut world = Self::with(2, 0, limits);
        world.nodes[1].puppet = true;
        let link = world.puppet_up(|_| ());
        (world, link)
    }

    /// A link with the puppet, whose Hello agrees with the node's records unless `edit` changes it.
    pub(crate) fn puppet_up(&mut self, edit: impl FnOnce(&mut Hello)) -> LinkId {
        self.break_all();
        self.puppet_up_as(1, edit)
    }

    /// The same for a puppet at another place, leaving other links alone.
    pub(crate) fn puppet_up_as(&mut self, from: usize, edit: impl FnOnce(&mut Hello)) -> LinkId {
        self.run();
        let mut hello = self.hello(from, 0, Role::DIALLER);
        let id = self.id(from);
        let known = self.nodes[0].core.peer(&id).expect("the puppet is enrolled");
        hello.received = Marks::default();
        for lane in Lane::ALL {
            if let Some((seq, digest)) = known.durable.out[lane.index()].receipted {
                hello.received.set(lane, seq, digest);
            }
        }
        hello.sent = known.received_marks();
        edit(&mut hello);
        let link = self.open_wire(from, 0);
        self.link_up_at(0, from, link, hello);
        self.run();
        link
    }

    /// An incident of the puppet's at the next place of a lane, as the node has it.
    pub(crate) fn forged(&self, lane: Lane) -> Forged {
        self.forged_by(1, 0, lane)
    }

    pub(crate) fn forged_by(&self, from: usize, to: usize, lane: Lane) -> Forged {
        let puppet: &Node = &self.nodes[from];
        let known = self.nodes[to].core.peer(&puppet.id).expect("the puppet is enrolled");
        let last = known.received_marks().get(lane);
        let header = Header {
            version: 1,
            key_id: puppet.key.id(),
            incarnation: Incarnation(77),
            from: puppet.id.clone(),
            to: self.nodes[to].id.clone(),
            also_to: List::empty(),
            desk: Desk::TECHNICAL,
            lane,
            seq: last.map_or(Seq::FIRST, |(seq, _)| seq.next()),
            previous: last.map_or(Digest::ZERO, |(_, digest)| digest),
            received: None,
            sent_at: UnixMillis::new(self.wall_ms),
            expires_at: UnixMillis::new(self.wall_ms + 3_600_000),
            case: CaseId([6; 16]),
            references: List::empty(),
            author: text("puppet"),
            released_by: None,
            on_behalf_of: None,
            tlp: Tlp::GREEN,
            exercise: None,
            kind: Code::known("incident"),
            kind_version: 1,
            body_length: 0,
            body_commitment: Digest::ZERO,
            extensions: Extensions::default(),
        };
        Forged { header, body: incident("forged").bytes, withheld: None }
    }

    /// Signs and sends it over the latest link; its id and digest.
    pub(crate) fn inject(&mut self, forged: Forged) -> (EnvelopeId, Digest) {
        self.inject_by(1, 0, forged)
    }

    pub(crate) fn inject_by(&mut self, from: usize, to: usize, forged: Forged) -> (EnvelopeId, Digest) {
        let link = *self.network.open_at(from).last().expect("a link is up");
        let (id, digest, bytes) = self.seal_by(from, forged);
        let input = self.read(to, from, link, Wired::Envelope(bytes));
        self.nodes[to].inbox.push_back(input);
        self.run();
        (id, digest)
    }

    /// The bytes of a forged envelope, signed by the puppet's real key.
    pub(crate) fn seal(&self, forged: Forged) -> (EnvelopeId, Digest, Bytes) {
        self.seal_by(1, forged)
    }

    fn seal_by(&self, from: usize, forged: Forged) -> (EnvelopeId, Digest, Bytes) {
        let Forged { mut header, body, withheld } = forged;
        header.body_length = u32::try_from(body.len()).expect("short");
        header.body_commitment = commitment(&[3; 16], &body);
        let header = ExactHeader::encode(header).expect("a header by the rules");
        let body = match withheld {
            Some(reason) => Body::Withheld(reason),
            None => Body::Present { salt: [3; 16], bytes: Bytes::from(body) },
        };
        let proof = super::keys::proof_of(&self.nodes[from].key, header.digest());
        (header.id(), header.digest(), assemble(header.bytes(), &body, &proof))
    }

    /// The puppet receipts what `marks` say.
    pub(crate) fn receipt(&mut self, marks: Marks) {
        self.receipt_having_sent(marks, Marks::default());
    }

    /// The same, and says how far it has signed itself.
    pub(crate) fn receipt_having_sent(&mut self, marks: Marks, sent: Marks) {
        let link = *self.network.open_at(1).last().expect("a link is up");
        let (puppet, node) = (&self.nodes[1], &self.nodes[0]);
        let receipt = Receipt {
            version: 1,
            key_id: puppet.key.id(),
            incarnation: Incarnation(77),
            from: puppet.id.clone(),
            to: node.id.clone(),
            stored: marks,
            sent,
            stored_at: UnixMillis::new(self.wall_ms),
            commitment: Digest::ZERO,
            extensions: Extensions::default(),
        };
        let bytes = receipt.sign(&puppet.key);
        let input = self.read(0, 1, link, Wired::Receipt(bytes));
        self.nodes[0].inbox.push_back(input);
        self.run();
    }

    /// The puppet allows as much as it can say, in every lane.
    pub(crate) fn allow(&mut self, total: u64) {
        let link = *self.network.open_at(1).last().expect("a link is up");
        for lane in Lane::ALL {
            let credit = aldis_wire::frame::Credit { lane, total };
            let input = self.read(0, 1, link, Wired::Credit(credit));
            self.nodes[0].inbox.push_back(input);
        }
        self.run();
    }
}
