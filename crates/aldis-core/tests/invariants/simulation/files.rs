//! Files that messages name: which are named, and where each is in the end.

use super::Simulation;
use crate::pair::{file, name_files};
use aldis_core::attachments::FileState;
use aldis_core::input::Submission;
use aldis_core::peer::Peer;

/// How many files there are. Many messages name the same ones.
const FILES: u64 = 40;

impl Simulation {
    /// Has a notice name some files: whole ones mostly, some that its sender has lost, or that the disk has spoiled.
    pub(super) fn attach(&mut self, place: usize, letter: &mut Submission) {
        let count = 1 + self.draw(3);
        let mut files = Vec::new();
        for _ in 0..count {
            let number = u8::try_from(self.draw(FILES)).expect("few");
            let one = file(number, u64::from(number) + 1);
            if files.contains(&one) {
                continue;
            }
            files.push(one);
            let node = &mut self.world.nodes[place];
            if number % 10 == 0 {
                node.lacking.insert(one.digest);
            } else if number % 10 == 1 {
                node.spoiled.insert(one.digest);
            }
        }
        name_files(letter, &files);
        self.coverage.note("traffic: files");
    }

    /// Whether a file was given up that a message still names.
    pub(super) fn has_lost_files(&self, place: usize) -> bool {
        let attachments = |(_, peer): (_, &Peer)| peer.durable.attachments.clone();
        self.world.nodes[place].core.peers().map(attachments).any(|files| files.ours.lost() + files.theirs.lost() > 0)
    }

    /// Whatever is named is held or given up, at both ends alike; what is held is there, and nothing else is.
    pub(super) fn i8_files_came_to_their_end(&mut self, from: usize, to: usize) {
        let (sender, receiver) = (self.world.id(from), self.world.id(to));
        let ours = &self.world.nodes[from].core.peer(&receiver).expect("enrolled").durable.attachments.ours;
        let theirs = &self.world.nodes[to].core.peer(&sender).expect("enrolled").durable.attachments.theirs;
        let (mut held, mut lost) = (0, 0);
        for (digest, there) in theirs.iter() {
            let here = ours
                .get(digest)
                .unwrap_or_else(|| panic!("i8: {receiver} knows {digest} of {sender}, which names it not"));
            assert_ne!(there.state, FileState::Open, "i8: {digest} of {sender} is never fetched by {receiver}");
            assert_eq!(here.state, there.state, "i8: {digest} of {sender} at {receiver}");
            held += u64::from(there.state == FileState::Held);
            lost += u64::from(there.state == FileState::Lost);
            let is_there = self.world.nodes[to].files.contains(&(sender.clone(), *digest));
            assert_eq!(is_there, there.state == FileState::Held, "i9: the file of {digest} at {receiver}");
        }
        let stored = self.world.nodes[to].files.iter().filter(|(peer, _)| *peer == sender);
        let unnamed = stored.filter(|(_, digest)| theirs.get(digest).is_none()).count();
        assert_eq!(unnamed, 0, "i9: files that nobody names stay at {receiver}");
        let lost_here = self.world.nodes[to].core.peer(&sender).expect("enrolled").durable.attachments.theirs.lost();
        let alarmed = self.world.nodes[to]
            .core
            .alarms()
            .any(|alarm| alarm.code.as_str() == "attachment-lost" && alarm.peer.as_ref() == Some(&sender));
        assert!(alarmed || lost_here == 0, "i8: {receiver} has given up files of {sender} in silence");
        self.coverage.add("count: files held", held);
        self.coverage.add("count: files given up", lost);
    }
}
