//! What goes wrong, and how it ends again.

use super::{DAY_MS, Event, HOUR_MS, MINUTE_MS, SECOND_MS, Simulation};
use crate::pair::{Channels, Fault, Forged, incident, text};
use aldis_core::input::Input;
use aldis_core::record::Standing;
use aldis_core::trust::Act;
use aldis_wire::digest::Digest;
use aldis_wire::hello::Role;
use aldis_wire::ids::UnixMillis;
use aldis_wire::lane::Lane;

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

impl Simulation {
    pub(super) fn break_something(&mut self) {
        let place = self.node();
        match self.draw(20) {
            0..=4 => self.break_network(),
            5..=9 => self.break_disk(place),
            10 | 11 => self.end_process(place),
            12 | 13 => self.break_clock(place),
            14 | 15 => self.late_link(),
            16 => self.change_key(place),
            17 => self.put_aside(place),
            18 => self.agree(place),
            _ => {
                self.coverage.note("alerts: channels fail");
                self.world.nodes[place].channels = [Channels::Fail, Channels::Hang][self.pick(2)];
                self.put_within(DAY_MS, Event::Calm(place));
            }
        }
    }

    fn break_network(&mut self) {
        let from = self.node();
        let to = self.other(from);
        let sort = self.draw(7);
        self.write_and_stop(from, to);
        let network = &mut self.world.network;
        match sort {
            0 => {
                let flying = network.in_flight(from, to) + network.in_flight(to, from);
                if flying > 0 {
                    self.coverage.note("network: cut with frames on their way");
                }
                self.cut(from, to);
            }
            1 => {
                let doubled = network.double(to);
                if doubled > 0 {
                    self.coverage.note("network: a frame came twice");
                }
            }
            2 => {
                self.coverage.note("network: partition");
                network.cut.insert((from.min(to), from.max(to)));
                self.cut(from, to);
                self.put_within(3 * HOUR_MS, Event::Mend(from, to, true));
            }
            3 => {
                network.held.insert((from, to));
                let within_ms = [30 * SECOND_MS, 10 * MINUTE_MS][self.pick(2)];
                self.put_within(within_ms, Event::Mend(from, to, false));
            }
            4 => {
                network.held.insert((from, to));
                self.put_within(HOUR_MS, Event::Mend(from, to, true));
            }
            5 => {
                network.unreceipted.insert((from, to));
                self.put_within(HOUR_MS, Event::Mend(from, to, false));
            }
            // A short break, as they mostly are.
            _ => self.cut(from, to),
        }
    }

    /// One end writes, and so do both in half of the cases; nobody has read it yet.
    fn write_and_stop(&mut self, from: usize, to: usize) {
        for place in [from, to] {
            if self.world.nodes[place].up && self.draw(4) > 0 {
                self.say_something();
                self.world.take_turn(place);
                self.look();
            }
        }
    }

    fn cut(&mut self, one: usize, other: usize) {
        for link in self.world.network.between(one, other) {
            self.world.break_link(link);
        }
    }

    pub(super) fn mend(&mut self, from: usize, to: usize, lost: bool) {
        let flying = self.world.network.in_flight(from, to);
        let network = &mut self.world.network;
        network.cut.remove(&(from.min(to), from.max(to)));
        network.unreceipted.remove(&(from, to));
        if std::mem::take(&mut network.receipts_lost) > 0 {
            self.coverage.note("network: a peer that never receipts");
        }
        if self.world.network.held.remove(&(from, to)) && flying > 0 {
            self.coverage.note(if lost { "network: half-open" } else { "network: slow" });
        }
        if lost {
            self.cut(from, to);
        }
    }

    fn break_disk(&mut self, place: usize) {
        let node = &mut self.world.nodes[place];
        if !node.up {
            return;
        }
        let fault = match self.random % 6 {
            0 => ("storage: nothing of the last commit", Fault::BeforeDisk),
            1 => ("storage: all of the last commit, untold", Fault::AfterDisk),
            2 => ("storage: torn last commit", Fault::Torn),
            3 => ("storage: error", if self.random % 12 == 3 { Fault::Torn } else { Fault::AfterDisk }),
            4 => {
                node.room = Some(usize::try_from(self.random % 7).expect("small"));
                return self.put_within(DAY_MS, Event::Room(place));
            }
            _ => {
                self.coverage.note("storage: crash at a snapshot");
                // The snapshot is there, or the one before is what the start finds.
                if self.draw(2) == 0 {
                    self.world.nodes[place].take_snapshot();
                }
                return self.world.crash(place);
            }
        };
        self.coverage.note(fault.0);
        node.fault = Some(fault.1);
    }

    fn end_process(&mut self, place: usize) {
        self.world.nodes[place].take_snapshot_if_up();
        if self.draw(2) == 0 {
            let effects = self.pick(6);
            self.world.nodes[place].stops_in = Some(effects);
        } else if self.world.nodes[place].up {
            self.world.crash(place);
        }
    }

    pub(super) fn start(&mut self, place: usize) {
        let node = &mut self.world.nodes[place];
        if node.up {
            return;
        }
        // Somebody has made room.
        if node.room.take().is_some() {
            self.coverage.note("storage: full, ended");
        }
        if self.world.nodes[place].stops_in.is_some() {
            self.coverage.note("process: crash in a start");
        }
        self.coverage.note("process: restart");
        self.world.nodes[place].fault = None;
        self.restart(place);
    }

    /// The judge reads what a start finds before anything else happens.
    pub(super) fn restart(&mut self, place: usize) {
        self.world.restart(place);
        self.look();
    }

    fn break_clock(&mut self, place: usize) {
        let day = i64::try_from(DAY_MS).expect("small");
        let (name, shift_ms) = match self.draw(6) {
            0 => ("clock: seconds", i64::try_from(self.draw(120 * SECOND_MS)).expect("small") - 60_000),
            1 | 2 => ("clock: days", i64::try_from(self.draw(20 * DAY_MS)).expect("small") - 10 * day),
            3 => ("clock: a year on", YEAR_MS),
            4 => ("clock: a year back", -YEAR_MS),
            _ => {
                self.coverage.note("clock: stands still");
                let wall = self.world.wall_of(place);
                self.world.nodes[place].frozen = Some(UnixMillis::new(wall.get()));
                return self.put_within(DAY_MS, Event::Clock(place));
            }
        };
        self.coverage.note(name);
        self.set_clock(place, shift_ms);
        self.put_within(DAY_MS, Event::Clock(place));
    }

    pub(super) fn set_clock(&mut self, place: usize, shift_ms: i64) {
        self.world.nodes[place].frozen = None;
        self.world.nodes[place].shift_ms = shift_ms;
    }

    /// The Hellos of a link are signed now, and taken in some time later; other links may carry mail meanwhile.
    pub(super) fn late_link(&mut self) {
        let Some((dialler, listener, hellos)) = self.late.take() else {
            let dialler = self.node();
            let listener = self.other(dialler);
            if [dialler, listener].iter().all(|place| self.world.nodes[*place].up) && self.may_link(dialler, listener) {
                self.late = Some((dialler, listener, self.world.hellos(dialler, listener)));
                self.put_within(4 * SECOND_MS, Event::Traffic);
                self.put(self.world.monotonic_ms + 4 * SECOND_MS, Event::LateLink);
            }
            return;
        };
        let up = [dialler, listener].iter().all(|place| self.world.nodes[*place].up);
        if !up || !self.may_link(dialler, listener) {
            return;
        }
        // A node that started again, or speaks with another key, has no part in a link of before.
        let current = self.world.hellos(dialler, listener);
        let differs = |side: usize| {
            current[side].incarnation != hellos[side].incarnation || current[side].key_id != hellos[side].key_id
        };
        if differs(0) || differs(1) {
            return;
        }
        if !self.world.network.between(dialler, listener).is_empty() {
            self.coverage.note("network: links overtook each other");
        }
        let link = self.world.open_wire(dialler, listener);
        let [first, second] = hellos;
        self.world.link_up_at(listener, dialler, link, first);
        self.world.link_up_at(dialler, listener, link, second);
    }

    /// Whether each would take the other's Hello: the node around the core lets nobody else in.
    pub(super) fn may_link(&self, dialler: usize, listener: usize) -> bool {
        let admits = |one: usize, other: usize, role: Role| {
            let known = self.world.nodes[one].core.peer(&self.world.id(other)).expect("enrolled");
            let hello = self.world.hello(other, one, role);
            known.is_verified() && known.hello_keys().iter().any(|key| key.id() == hello.key_id)
        };
        !self.world.network.is_cut(dialler, listener)
            && admits(dialler, listener, Role::LISTENER)
            && admits(listener, dialler, Role::DIALLER)
    }

    /// A new key for a node; the other sides' administrators take it some time later.
    fn change_key(&mut self, place: usize) {
        let pending = self.world.nodes[place].usable().len() > 4;
        if pending || !self.world.nodes[place].up {
            return;
        }
        self.coverage.note("trust: key rotation");
        self.world.nodes[place].next_key();
        self.tell_own_card(place);
        for other in (0..self.world.nodes.len()).filter(|other| *other != place) {
            self.put_within(12 * HOUR_MS, Event::Admit(other, place));
        }
    }

    pub(super) fn tell_own_card(&mut self, place: usize) {
        let node = &mut self.world.nodes[place];
        let (card, usable) = (Box::new(node.card.clone()), node.usable());
        node.inbox.push_back(Input::OwnCard { token: None, card, usable, by: text("admin") });
    }

    fn put_aside(&mut self, place: usize) {
        let other = self.other(place);
        let (name, act) = [("trust: revoked", Act::Revoke), ("trust: suspended", Act::Suspend)][self.pick(2)];
        if self.world.nodes[place].up {
            self.coverage.note(name);
            self.world.order(place, act, other);
            self.put_within(6 * HOUR_MS, Event::Admit(place, other));
        }
    }

    /// Two administrators let a peer in again, and take its next key.
    pub(super) fn admit(&mut self, place: usize, other: usize) {
        if !self.world.nodes[place].up || self.world.nodes[place].puppet {
            return;
        }
        for act in [Act::UndoRevoke, Act::Resume, Act::AcceptKey] {
            self.world.order(place, act, other);
        }
        self.run();
        if self.world.nodes[place].up {
            self.coverage.note("trust: let in again");
            self.world.approve_all(place);
        }
    }

    /// The puppet signs two histories in one run: two envelopes at one place, or one that follows another than is there. The
    /// second is evidence, and nothing of it is taken any more.
    pub(super) fn equivocate(&mut self) {
        if !self.world.nodes[0].up {
            return self.put_within(HOUR_MS, Event::Equivocate);
        }
        self.run();
        self.world.puppet_up_as(2, |_| ());
        let (first, mut second) =
            (self.world.forged_by(2, 0, Lane::Immediate), self.world.forged_by(2, 0, Lane::Immediate));
        second.body = incident("another").bytes;
        let next = self.inject(first);
        if next && self.draw(2) == 0 {
            second = self.world.forged_by(2, 0, Lane::Immediate);
            second.header.previous = Digest::of(&[b"another"]);
        }
        self.inject(second);
        let own = self.world.id(2);
        let quarantined = self.oracle.ledgers[0].account(&own).and_then(|account| account.standing);
        if next && self.world.nodes[0].up {
            assert_eq!(quarantined, Some(Standing::Quarantined), "i9: two histories of {own} were not noticed");
            self.coverage.note("trust: equivocation");
        }
    }

    /// Whether the forged envelope was taken.
    fn inject(&mut self, forged: Forged) -> bool {
        if self.world.network.between(2, 0).is_empty() || !self.world.nodes[0].up {
            return false;
        }
        let (id, _) = self.world.inject_by(2, 0, forged);
        self.look();
        self.oracle.ledgers[0].row(&self.world.id(0), &id).is_some()
    }

    /// The disk of a node is replaced by an older copy of it.
    pub(super) fn restore_older_copy(&mut self, place: usize) {
        self.coverage.note("storage: an older copy restored");
        self.world.crash(place);
        self.look();
        let commits = self.world.nodes[place].commits.clone();
        let older = commits[commits.len() / 2 + self.pick(commits.len() / 2)];
        self.world.nodes[place].recover();
        self.world.nodes[place].roll_back(older);
        self.noticing = self.oracle.restore(&self.world, place);
        self.world.nodes[place].room = None;
        self.world.nodes[place].stops_in = None;
        self.world.nodes[place].fault = None;
        for _ in 0..8 {
            self.put_within(DAY_MS, Event::Traffic);
        }
    }
}
