//! The fingerprints a reader has from elsewhere. Only they bind the keys in a file to states; the file itself cannot.

use crate::facts::Facts;
use aldis_wire::card::VerifiedCard;
use aldis_wire::ids::NodeId;
use std::collections::BTreeMap;

/// By node, the fingerprints of its keys, 64 lower-case hexadecimal digits each.
#[derive(Clone, Debug, Default)]
pub struct Trusted(BTreeMap<NodeId, Vec<String>>);

/// Why a file's keys are not the ones the reader knows. Whoever gave the file or the fingerprint is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A key of the file is none of those.
    #[error("a key of {node} has the fingerprint {found}, which is none of those you gave")]
    Another {
        /// Whose key.
        node: NodeId,
        /// Its fingerprint.
        found: String,
    },
    /// The file holds no key of the node.
    #[error("the file holds no key of {0}")]
    Absent(NodeId),
}

impl Trusted {
    /// Adds what a person typed, `NODE=FINGERPRINT`; blanks, colons and capitals do not matter. `None` if it is no
    /// such.
    pub fn add_text(&mut self, text: &str) -> Option<()> {
        let (node, fingerprint) = text.split_once('=')?;
        let node = NodeId::new(node.trim()).ok()?;
        let digits = fingerprint.chars().filter(|c| !c.is_whitespace() && *c != ':');
        let digits: String = digits.map(|c| c.to_ascii_lowercase()).collect();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.0.entry(node).or_default().push(digits);
        Some(())
    }

    /// Adds the key of a card that the reader has from the node itself.
    pub fn add_card(&mut self, card: &VerifiedCard) {
        let fingerprint = card.fingerprint().replace(' ', "");
        self.0.entry(card.card().id.clone()).or_default().push(fingerprint);
    }

    /// Whether anything is known of a node.
    pub fn knows(&self, node: &NodeId) -> bool {
        self.0.contains_key(node)
    }

    /// Whether every key in the file of every node that is known here is one of the known ones.
    pub fn check(&self, facts: &Facts) -> Result<(), TrustError> {
        for (node, fingerprints) in &self.0 {
            let mut keys = facts.keys.iter().filter(|key| key.node == *node).peekable();
            if keys.peek().is_none() {
                return Err(TrustError::Absent(node.clone()));
            }
            if let Some(other) = keys.find(|key| !fingerprints.contains(&key.fingerprint)) {
                return Err(TrustError::Another { node: node.clone(), found: other.fingerprint.clone() });
            }
        }
        Ok(())
    }
}
