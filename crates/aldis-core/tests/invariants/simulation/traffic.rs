//! Everything people send, and what they do with what came.

use super::{DAY_MS, NEWER_KIND, SECOND_MS, Simulation};
use crate::pair::{answer, notice_of, person, recall, submission, text};
use aldis_core::effect::{Declined, Delivery, Done, Happening};
use aldis_core::hotline::{DeskOrder, SessionState, Turn};
use aldis_core::input::{Acceptance, CheckOrder, Composed, DraftBodies, Input, Submission};
use aldis_core::record::{DraftId, Record, RecordSeq};
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::envelope::Body;
use aldis_wire::header::ReferenceRole;
use aldis_wire::ids::{CaseId, EnvelopeId, UnixMillis};
use aldis_wire::kinds::{CheckPart, Terms, from_json};
use aldis_wire::lane::Lane;
use serde_json::json;

impl Simulation {
    pub(super) fn say_something(&mut self) {
        let place = self.node();
        if !self.world.nodes[place].up {
            return;
        }
        if self.world.nodes[place].room.is_some() {
            // Below its reserve a node declines what its people write, and takes what peers send into the rest.
            return self.coverage.note("storage: full, declined");
        }
        match self.draw(24) {
            0..=6 => self.write(place),
            7..=11 => self.answer(place),
            12 | 13 => self.recall(place),
            14 | 15 => self.compose(place),
            16 | 17 => self.end_draft(),
            18 => self.check(place),
            19 | 20 => self.talk(place),
            21 => self.accept_recall(place),
            22 => self.write_in_a_newer_kind(place),
            _ => self.agree(place),
        }
    }

    fn letter(&mut self, place: usize) -> Submission {
        let to = self.other(place);
        let lane = Lane::ALL[self.pick(4)];
        let number = self.asked.len() + self.said.len();
        let mut letter = notice_of(&self.world.id(to), lane, &format!("notice {number}"));
        letter.tlp = [Tlp::CLEAR, Tlp::GREEN, Tlp::AMBER, Tlp::AMBER_STRICT][self.pick(4)];
        match self.draw(12) {
            0 | 1 => letter.lifetime_ms = 5 * SECOND_MS,
            2 => letter.desk = Desk(50),
            3 | 4 => letter.exercise = Some(text("exercise north")),
            5 => letter.acknowledge_within_s = Some(120),
            7 | 8 => self.attach(place, &mut letter),
            6 => {
                letter.to = (0..self.world.nodes.len()).filter(|to| *to != place).map(|to| self.world.id(to)).collect()
            }
            _ => {}
        }
        letter.salts = letter.to.iter().map(|_| [7; 16]).collect();
        letter
    }

    fn submit(&mut self, place: usize, letter: Submission) {
        let label = letter.tlp;
        let token = self.world.submit(place, letter);
        self.oracle.labels.insert(token, label);
        self.asked.push((place, token));
    }

    fn write(&mut self, place: usize) {
        let letters = 1 + self.draw(3) * self.draw(4);
        for _ in 0..letters {
            let letter = self.letter(place);
            if letter.to.len() > 1 {
                self.coverage.note("traffic: several recipients");
            }
            if letter.exercise.is_some() {
                self.coverage.note("traffic: exercise");
            }
            self.submit(place, letter);
        }
    }

    fn write_in_a_newer_kind(&mut self, place: usize) {
        let mut letter = self.letter(place);
        (letter.kind, letter.bodies) = (Code::known(NEWER_KIND), vec![(1, vec![1, 2, 3].into())]);
        self.submit(place, letter);
    }

    /// Somebody answers something that came here, in whatever sense, also what is decided already.
    fn answer(&mut self, place: usize) {
        let own = self.world.id(place);
        let here: Vec<_> = self.said.iter().filter(|(id, _)| id.to == own).cloned().collect();
        if here.is_empty() {
            return;
        }
        let message = here[here.len() - 1 - self.pick(here.len().min(6))].clone();
        let state = ["seen", "acknowledged", "pending", "approved", "denied"][self.pick(5)];
        let mut letter = answer(&message, state);
        if state == "pending" {
            let until = UnixMillis::new(self.world.wall_of(place).get() + self.draw(DAY_MS));
            let body = from_json("acknowledgement", 1, json!({"state": "decided", "status": state, "until": until}));
            let body = body.expect("a promise");
            (letter.bodies, letter.bearing) = (vec![(1, body.bytes.into())], body.summary.bearing);
        }
        letter.exercise = self.exercise_of(place, &message.0);
        self.submit(place, letter);
    }

    fn exercise_of(&mut self, place: usize, id: &EnvelopeId) -> Option<aldis_wire::codec::Text<64>> {
        let row = self.oracle.ledgers[place].row(&self.world.id(place), id);
        let exercise = row.and_then(|row| row.exercise.as_deref().map(text));
        // Now and then somebody confuses the two.
        if self.draw(12) == 0 { Some(text("exercise south")) } else { exercise }
    }

    fn recall(&mut self, place: usize) {
        let own = self.world.id(place);
        let ours: Vec<_> = self.said.iter().filter(|(id, _)| id.from == own).cloned().collect();
        let Some(message) = ours.len().checked_sub(1).map(|last| ours[last - self.pick(ours.len().min(4))].clone())
        else {
            return;
        };
        let mut letter = recall(&message);
        letter.exercise = self.exercise_of(place, &message.0);
        self.submit(place, letter);
    }

    /// An operator here accepts a recall: what it names is found in the journal.
    fn accept_recall(&mut self, place: usize) {
        let own = self.world.id(place);
        let records = self.world.nodes[place].records();
        let recalls = records.iter().filter_map(|record| match record {
            Record::Received(received) if received.header.kind.as_str() == "recall" => Some(received.header.clone()),
            _ => None,
        });
        let Some(recall) = recalls.last() else { return };
        let named = recall.reference(ReferenceRole::RECALLS).expect("a recall names a message").envelope.clone();
        let Some(row) = self.oracle.ledgers[place].row(&own, &named) else { return };
        let Record::Received(message) = &records[row.at] else { return };
        let acceptance = Acceptance {
            by: text("bia"),
            author: text("duty officer"),
            salt: [9; 16],
            recall,
            message: Box::new(message.clone()),
            record: RecordSeq(row.at as u64),
            reached: Code::known("stored"),
            exported: false,
            looked_at: RecordSeq(records.len() as u64),
            text: text("done"),
            lifetime_ms: DAY_MS,
        };
        let token = self.world.token();
        self.world.nodes[place].inbox.push_back(Input::EraseRecalled { token, acceptance: Box::new(acceptance) });
        self.asked.push((place, token));
    }

    /// TLP:RED takes a second person.
    fn compose(&mut self, place: usize) {
        let mut submission = self.letter(place);
        if self.draw(4) > 0 {
            submission.tlp = Tlp::RED;
        }
        let token = self.world.token();
        self.oracle.labels.insert(token, submission.tlp);
        let composed = Box::new(Composed { submission, by: person(1_000), words: 20, long: None });
        self.world.nodes[place].inbox.push_back(Input::Compose { token, composed });
        self.asked.push((place, token));
    }

    fn end_draft(&mut self) {
        if self.drafts.is_empty() {
            return;
        }
        let at = usize::try_from(self.random % self.drafts.len() as u64).expect("small");
        let (place, draft) = self.drafts.swap_remove(at);
        if !self.world.nodes[place].up {
            return;
        }
        let (token, by) = (self.world.token(), person(1_001));
        let input = match self.beside(place, draft) {
            Some(bodies) if self.draw(4) > 0 => Input::Release { token, draft, bodies, by },
            _ => Input::Discard { token, draft, by, is_releaser: true },
        };
        if matches!(input, Input::Release { .. }) {
            self.oracle.labels.insert(token, Tlp::RED);
            self.coverage.note("traffic: draft released");
        }
        self.world.nodes[place].inbox.push_back(input);
        self.asked.push((place, token));
    }

    /// What the node reads from its journal for a release.
    fn beside(&self, place: usize, draft: DraftId) -> Option<Box<DraftBodies>> {
        let node = &self.world.nodes[place];
        let at = usize::try_from(draft.0.0).expect("small");
        let (Some(Record::Drafted(drafted)), Some(entry)) = (node.records().get(at), node.journal.get(at)) else {
            return None;
        };
        let Some(Body::Present { salt, bytes }) = entry.body.clone() else { return None };
        Some(Box::new(DraftBodies { salt, bytes, salts: drafted.to.iter().map(|_| [8; 16]).collect() }))
    }

    fn check(&mut self, place: usize) {
        let other = self.other(place);
        let part = [CheckPart::Machine, CheckPart::Human, CheckPart::Wake][self.pick(3)].clone();
        let (author, by) = (text("ana"), text("ana"));
        let order = CheckOrder { peer: self.world.id(other), part, text: text("hello"), author, by };
        let token = self.world.token();
        self.world.nodes[place].inbox.push_back(Input::Check { token, order: Box::new(order) });
    }

    /// Rings, picks up, says a line, was shown some, or ends it.
    fn talk(&mut self, place: usize) {
        let other = self.other(place);
        let peer = self.world.id(other);
        let session = self.world.nodes[place].core.peer(&peer).and_then(|known| known.durable.hotline.clone());
        let Some(session) = session.filter(|session| session.state != SessionState::Closed) else {
            let body = from_json("hotline", 1, json!({"subject": "a worm"})).expect("an opening");
            let mut opening = submission(&[peer], Lane::Flash, "hotline", &body);
            opening.case = CaseId([u8::try_from(self.draw(256)).expect("small"); 16]);
            return self.submit(place, opening);
        };
        let turn = match self.draw(8) {
            0..=2 => Turn::Join,
            3..=5 => Turn::Line(session.case, text("more of it")),
            6 => Turn::Leave,
            _ => Turn::Close,
        };
        if turn == Turn::Join && session.state == SessionState::Ringing && session.opening.from == peer {
            self.coverage.note("traffic: hotline picked up");
        }
        let order = DeskOrder { peer, turn, author: text("ana"), by: text("uid 7") };
        let token = self.world.token();
        self.world.nodes[place].inbox.push_back(Input::Hotline { token, order: Box::new(order) });
    }

    /// New terms, at times ones that allow little.
    pub(super) fn agree(&mut self, place: usize) {
        let other = self.other(place);
        self.terms += 1;
        let narrow = self.draw(2) == 0;
        let terms = Terms {
            sequence: self.terms,
            kinds: List::empty(),
            highest_tlp: if narrow { Tlp::AMBER } else { Tlp::RED },
            flash_per_day: if narrow { 3 } else { 1_000 },
            messages_per_hour: if narrow { 6 } else { 10_000 },
            bytes_per_hour: 1_000_000_000,
            acknowledge_within_s: [0; 4],
            expires_at: UnixMillis::new(self.world.wall_of(place).get() + 800 * DAY_MS),
            extensions: Extensions::default(),
        };
        let token = self.world.token();
        let (peer, by) = (self.world.id(other), person(1));
        self.coverage.note("trust: agreement changed");
        self.world.nodes[place].inbox.push_back(Input::SetAgreement { token, peer, terms: Box::new(terms), by });
    }

    /// Takes in what became of what was asked.
    pub(super) fn collect(&mut self) {
        for (place, token) in std::mem::take(&mut self.asked) {
            match self.world.nodes[place].replies.remove(&token) {
                // A process that ended says nothing; whoever asked looks into the log.
                None if self.world.nodes[place].up => self.asked.push((place, token)),
                Some(Ok(Done::Submitted(ids))) => self.said.extend(ids),
                Some(Ok(Done::Drafted(draft, _))) => self.drafts.push((place, draft)),
                Some(Ok(Done::Recalled(_))) => self.coverage.note("traffic: recalled before it was relayed"),
                Some(Err(Declined::NotAgreed { .. })) => self.coverage.note("trust: not agreed"),
                _ => {}
            }
        }
        for place in 0..self.world.nodes.len() {
            for happening in std::mem::take(&mut self.world.nodes[place].told) {
                self.note(place, &happening);
            }
            let node = &mut self.world.nodes[place];
            node.transmitted.clear();
            node.dialled.clear();
            node.alerts.clear();
            let (stopped, finished) = (std::mem::take(&mut node.stopped), std::mem::take(&mut node.finished));
            if stopped > 0 {
                self.coverage.note("process: crash between two effects");
            }
            if finished > 0 {
                self.coverage.note("storage: crash before an erasure");
            }
            for (link, code) in std::mem::take(&mut node.closed) {
                if self.tells {
                    println!("  event {}: node {place} closes {link:?}: {code:?}", self.events);
                }
                if code == aldis_wire::frame::GoodbyeCode::SILENT {
                    self.coverage.note("network: silence closed a link");
                }
            }
        }
    }

    fn note(&mut self, place: usize, happening: &Happening) {
        let name = match happening {
            Happening::Delivery(_, Delivery::Expired) => "traffic: expired before it was relayed",
            Happening::Delivery(id, Delivery::Recalled) if id.to == self.oracle.ids[place] => {
                "traffic: recall accepted"
            }
            Happening::Delivery(_, Delivery::Acknowledged | Delivery::Decided(_)) => "traffic: answer accepted",
            Happening::Delivery(_, Delivery::Refused(_)) => "traffic: refused",
            Happening::OwnKeySwitched(_) => "trust: next key in force",
            Happening::Checked(checked) if is_reply(checked) => "traffic: check answered",
            _ => return,
        };
        self.coverage.note(name);
    }

    /// Whether a lane of a node has more to send than its peer allows now.
    pub(super) fn note_dry(&mut self, place: usize) {
        let node = &self.world.nodes[place];
        let dry = node.core.peers().filter_map(|(_, peer)| peer.up().map(|up| (up, peer))).any(|(up, peer)| {
            let lanes = up.towards.iter().zip(&peer.durable.out);
            lanes
                .into_iter()
                .any(|(flow, out)| flow.credit > 0 && flow.sent == flow.credit && flow.next <= out.last_seq())
        });
        if dry {
            self.coverage.note("network: credit ran dry");
        }
    }
}

fn is_reply(checked: &aldis_core::record::Checked) -> bool {
    use aldis_core::checks::CheckEnd;
    matches!(checked.end, CheckEnd::Replied | CheckEnd::Answered)
}
