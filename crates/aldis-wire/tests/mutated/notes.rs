//! Changes to checkpoints, which are signed texts.

use crate::Mutant;
use crate::chance::{self, Random};
use crate::scene::{Genuine, Place, Scene, made_for};
use aldis_wire::checkpoint::{Checkpoint, SignedCheckpoint};
use aldis_wire::digest::Digest;

/// A mutant of a checkpoint.
pub(crate) fn mutant(scene: &Scene, random: &mut Random, genuine: &Genuine) -> Mutant {
    let place = genuine.place;
    let Place::Checkpoint(node, _) = place else { unreachable!("only checkpoints come here") };
    let read = SignedCheckpoint::parse(&genuine.bytes).expect("a genuine checkpoint");
    let mut said = read.claims().clone();
    let (bytes, how) = match random.below(5) {
        0 => {
            let mut bytes = genuine.bytes.clone();
            (0..=random.below(2)).for_each(|_| chance::edit(random, &mut bytes));
            (bytes, "edited as a whole")
        }
        1 => {
            change(scene, random, &mut said);
            let key = random.one(&[&scene.stranger, &scene.keys[(node + 1) % 3], &scene.ended]).to_owned();
            (said.sign(key).into_bytes(), "signed by another")
        }
        // What another node's name says is not this node's word, whoever signs it.
        2 => {
            said.node = scene.nodes[(node + 1) % 3].clone();
            (said.sign(&scene.keys[node]).into_bytes(), "signed in another's name")
        }
        3 => {
            let others: Vec<_> =
                scene.genuine.iter().filter(|other| matches!(other.place, Place::Checkpoint(..))).collect();
            (joined(&genuine.bytes, &random.one(&others).bytes), "the signature of another")
        }
        _ => {
            change(scene, random, &mut said);
            (joined(said.sign(&scene.stranger).as_bytes(), &genuine.bytes), "a line")
        }
    };
    Mutant { place, bytes, how: vec![how] }
}

/// The text of one note with the signature of another.
fn joined(text: &[u8], signature: &[u8]) -> Vec<u8> {
    let line = |note: &[u8]| note.windows(2).position(|pair| pair == b"\n\n").expect("a note has an empty line");
    [&text[..line(text)], &signature[line(signature)..]].concat()
}

fn change(scene: &Scene, random: &mut Random, said: &mut Checkpoint) {
    match random.below(4) {
        0 => said.size = random.number(),
        1 => said.root = Digest::of(&[&[random.byte()]]),
        2 => said.made_for = made_for(random.byte() % 4),
        _ => said.node = random.one(&scene.nodes).clone(),
    }
}
