//! Inbox and outbox: what waits for whom, and the counts of both.

use aldis_control::{ListQuery, MessageRow};
use aldis_wire::ids::NodeId;
use aldis_wire::lane::Lane;

use super::{Counts, Found, LIST_ROWS_MAX, Order, Query, QueryError, Red, SEARCH_ROWS_MAX};
use crate::log::rows::{self, STREAM, Stream, Way, message_key, open_prefix, parse_place, peer_prefix, time_prefix};
use aldis_wire::ids::{EnvelopeId, Seq};

impl Query {
    /// Received messages: those that wait for our answer, FLASH first and in each lane the oldest first, with what was
    /// superseded behind the rest; with `all` then the others, latest first. At most [`LIST_ROWS_MAX`].
    pub fn inbox(&self, query: &ListQuery) -> Result<Vec<MessageRow>, QueryError> {
        let peer = peer_of(query)?;
        let mut found = self.open(Way::In, peer.as_ref(), |_| true)?;
        found.sort_by_key(|one| one.message.superseded_by.is_some());
        if query.all {
            self.add_others(&mut found, Way::In, peer.as_ref())?;
        }
        found.iter().map(|one| self.row_of(one, Red::Withheld)).collect()
    }

    /// Sent messages: those that are not on the peer's disk, then notices that are not finally answered, FLASH first and
    /// in each lane the oldest first; with `all` then the others, latest first. At most [`LIST_ROWS_MAX`].
    pub fn outbox(&self, query: &ListQuery) -> Result<Vec<MessageRow>, QueryError> {
        let peer = peer_of(query)?;
        let streams = self.streams()?;
        let mut found = self.undelivered(&streams, peer.as_ref())?;
        let receipted = |id: &EnvelopeId| {
            let stream = streams.iter().find(|(to, lane, _)| (to, *lane) == (&id.to, id.lane));
            stream.map_or(0, |(_, _, stream)| stream.receipted)
        };
        found.extend(self.open(Way::Out, peer.as_ref(), |id| id.seq.get() <= receipted(id))?);
        found.truncate(LIST_ROWS_MAX);
        if query.all {
            self.add_others(&mut found, Way::Out, peer.as_ref())?;
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

    fn undelivered(&self, streams: &[(NodeId, Lane, Stream)], peer: Option<&NodeId>) -> Result<Vec<Found>, QueryError> {
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
    fn open(
        &self,
        way: Way,
        peer: Option<&NodeId>,
        wanted: impl Fn(&EnvelopeId) -> bool,
    ) -> Result<Vec<Found>, QueryError> {
        let mut found = Vec::new();
        for lane in Lane::ALL {
            self.walk(&open_prefix(way, lane), None, Order::Ascending, |key, name| {
                if found.len() >= LIST_ROWS_MAX {
                    return Ok(false);
                }
                let id = rows::parse_name(name);
                let id = id.ok_or_else(|| super::unexpected(&self.store, key, "no name".to_owned()))?;
                let other = if way == Way::In { &id.from } else { &id.to };
                if peer.is_none_or(|peer| peer == other) && wanted(&id) {
                    found.extend(self.found(key, name)?);
                }
                Ok(true)
            })?;
        }
        Ok(found)
    }

    /// Adds messages of one way that are not listed yet, latest first.
    fn add_others(&self, found: &mut Vec<Found>, way: Way, peer: Option<&NodeId>) -> Result<(), QueryError> {
        let listed: std::collections::BTreeSet<u64> = found.iter().map(|one| one.message.record).collect();
        let prefix = peer.map_or_else(time_prefix, peer_prefix);
        let mut looked_at = 0;
        self.walk(&prefix, None, Order::Descending, |key, name| {
            looked_at += 1;
            if found.len() >= LIST_ROWS_MAX || looked_at > SEARCH_ROWS_MAX {
                return Ok(false);
            }
            let wanted = |one: &Found| one.message.way == way && !listed.contains(&one.message.record);
            found.extend(self.found(key, name)?.filter(wanted));
            Ok(true)
        })
    }
}

fn peer_of(query: &ListQuery) -> Result<Option<NodeId>, QueryError> {
    let peer = query.peer.as_deref().map(NodeId::new).transpose();
    peer.map_err(|error| QueryError::Parameter { what: "peer", why: error.to_string() })
}
