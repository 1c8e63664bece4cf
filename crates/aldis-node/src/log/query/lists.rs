//! Inbox and outbox: what waits for whom, and the counts of both. What machines tell each other stands in neither; a
//! search for its kind finds it.

use aldis_control::{ListQuery, MessageRow};
use aldis_wire::ids::NodeId;
use aldis_wire::lane::Lane;

use super::traffic::Traffic;
use super::{Counts, Found, LIST_ROWS_MAX, Order, Query, QueryError, Red, SEARCH_ROWS_MAX};
use crate::log::rows::{
    self, Message, STREAM, Stream, Way, message_key, open_prefix, parse_place, peer_prefix, time_prefix,
};
use aldis_wire::ids::{EnvelopeId, Seq};

/// The kinds that no list shows: machines tell them to each other, or a command of its own does.
const MACHINES_KINDS: [&str; 4] = ["comm-check", "hotline-line", "ladder-step", "tombstone"];

/// What a list shows.
struct Listed {
    peer: Option<NodeId>,
    traffic: Traffic,
}

impl Listed {
    fn asked(query: &ListQuery) -> Result<Self, QueryError> {
        let peer = query.peer.as_deref().map(NodeId::new).transpose();
        let peer = peer.map_err(|error| QueryError::Parameter { what: "peer", why: error.to_string() })?;
        Ok(Self { peer, traffic: Traffic::asked(query.exercise.as_deref(), query.real)? })
    }

    fn has(&self, message: &Message) -> bool {
        self.traffic.has(message) && !MACHINES_KINDS.contains(&message.kind.as_str())
    }
}

impl Query {
    /// Received messages: those that wait for our answer, FLASH first and in each lane the oldest first, with what was
    /// superseded behind the rest; with `all` then the others, latest first. At most [`LIST_ROWS_MAX`].
    pub fn inbox(&self, query: &ListQuery) -> Result<Vec<MessageRow>, QueryError> {
        let listed = Listed::asked(query)?;
        let mut found = self.open(Way::In, &listed, |_| true)?;
        found.sort_by_key(|one| one.message.superseded_by.is_some());
        if query.all {
            self.add_others(&mut found, Way::In, &listed)?;
        }
        found.iter().map(|one| self.row_of(one, Red::Withheld)).collect()
    }

    /// Sent messages: those that are not on the peer's disk, then notices that are not finally answered, FLASH first and
    /// in each lane the oldest first; with `all` then the others, latest first. At most [`LIST_ROWS_MAX`].
    pub fn outbox(&self, query: &ListQuery) -> Result<Vec<MessageRow>, QueryError> {
        let listed = Listed::asked(query)?;
        let streams = self.streams()?;
        let mut found = self.undelivered(&streams, &listed)?;
        let receipted = |id: &EnvelopeId| {
            let stream = streams.iter().find(|(to, lane, _)| (to, *lane) == (&id.to, id.lane));
            stream.map_or(0, |(_, _, stream)| stream.receipted)
        };
        found.extend(self.open(Way::Out, &listed, |id| id.seq.get() <= receipted(id))?);
        found.truncate(LIST_ROWS_MAX);
        if query.all {
            self.add_others(&mut found, Way::Out, &listed)?;
        }
        found.iter().map(|one| self.row_of(one, Red::Withheld)).collect()
    }

    /// How many messages wait, both ways.
    pub fn counts(&self) -> Result<Counts, QueryError> {
        let mut counts = Counts::default();
        self.walk(&[STREAM], None, Order::Ascending, |key, value| {
            let stream: Stream = super::decode(&self.store, key, value)?;
            if stream.outgoing {
                counts.waiting_out += stream.last.saturating_sub(stream.receipted);
            } else {
                counts.waiting_in += stream.open;
            }
            Ok(true)
        })?;
        Ok(counts)
    }

    /// Every lane towards a peer.
    fn streams(&self) -> Result<Vec<(NodeId, Lane, Stream)>, QueryError> {
        let mut streams = Vec::new();
        self.walk(&[STREAM], None, Order::Ascending, |key, value| {
            let stream: Stream = super::decode(&self.store, key, value)?;
            if stream.outgoing
                && let Some((_, to, lane)) = parse_place(&key[1..])
            {
                streams.push((to, lane, stream));
            }
            Ok(true)
        })?;
        Ok(streams)
    }

    fn undelivered(&self, streams: &[(NodeId, Lane, Stream)], listed: &Listed) -> Result<Vec<Found>, QueryError> {
        let peer = listed.peer.as_ref();
        let mut found = Vec::new();
        for lane in Lane::ALL {
            let room = LIST_ROWS_MAX - found.len();
            let mut of_lane = Vec::new();
            let wanted = streams.iter().filter(|(to, of, _)| *of == lane && peer.is_none_or(|peer| peer == to));
            for (to, _, stream) in wanted {
                let before = of_lane.len();
                for seq in (stream.receipted + 1..=stream.last).filter_map(Seq::new) {
                    if of_lane.len() - before >= room {
                        break;
                    }
                    let id = EnvelopeId { from: self.own.clone(), to: to.clone(), lane, seq };
                    // Where the journal had a gap, a place may have no row.
                    if let Some(message) = self.get(&message_key(&id))?
                        && self.may_read(&message)
                        && listed.has(&message)
                    {
                        of_lane.push(Found { id, message });
                    }
                }
            }
            of_lane.sort_by_key(|one| (one.message.at, one.message.record));
            of_lane.truncate(room);
            found.extend(of_lane);
        }
        Ok(found)
    }

    /// Open messages of one way, FLASH first, the oldest first.
    fn open(&self, way: Way, listed: &Listed, wanted: impl Fn(&EnvelopeId) -> bool) -> Result<Vec<Found>, QueryError> {
        let mut found = Vec::new();
        for lane in Lane::ALL {
            self.walk(&open_prefix(way, lane), None, Order::Ascending, |key, name| {
                if found.len() >= LIST_ROWS_MAX {
                    return Ok(false);
                }
                let id = rows::parse_name(name);
                let id = id.ok_or_else(|| super::unexpected(&self.store, key, "no name".to_owned()))?;
                let other = if way == Way::In { &id.from } else { &id.to };
                if listed.peer.as_ref().is_none_or(|peer| peer == other) && wanted(&id) {
                    found.extend(self.found(key, name)?.filter(|one| listed.has(&one.message)));
                }
                Ok(true)
            })?;
        }
        Ok(found)
    }

    /// Adds messages of one way that are not listed yet, latest first.
    fn add_others(&self, found: &mut Vec<Found>, way: Way, listed: &Listed) -> Result<(), QueryError> {
        let there: std::collections::BTreeSet<u64> = found.iter().map(|one| one.message.record).collect();
        let prefix = listed.peer.as_ref().map_or_else(time_prefix, peer_prefix);
        let mut looked_at = 0;
        self.walk(&prefix, None, Order::Descending, |key, name| {
            looked_at += 1;
            if found.len() >= LIST_ROWS_MAX || looked_at > SEARCH_ROWS_MAX {
                return Ok(false);
            }
            let wanted = |one: &Found| {
                one.message.way == way && listed.has(&one.message) && !there.contains(&one.message.record)
            };
            found.extend(self.found(key, name)?.filter(wanted));
            Ok(true)
        })
    }
}
