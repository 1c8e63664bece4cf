//! The keys of rows: names read back, keys that fit, moments in order.

use super::rows::{Moment, STEP, name, of_message_key, parse_name};
use super::store::KEY_BYTES_MAX;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

#[test]
fn names_read_back_and_every_key_fits() {
    let long = NodeId::new(&"a".repeat(63)).unwrap();
    let id = EnvelopeId { from: long.clone(), to: NodeId::new("b.c").unwrap(), lane: Lane::Routine, seq: Seq::MAX };
    assert_eq!(parse_name(&name(&id)), Some(id.clone()));
    assert_eq!(parse_name(&name(&id)[1..]).map(|id| id.from.as_str().len()), Some(62));
    assert_eq!(parse_name(b"no name"), None);
    let longest = EnvelopeId { to: long, ..id };
    assert!(of_message_key(STEP, &longest, u64::MAX).len() <= KEY_BYTES_MAX);
}

#[test]
fn moments_sort_by_time_then_record() {
    let moment = |at, record| Moment { at: UnixMillis::new(at), record };
    let moments = [moment(0, 9), moment(1, 0), moment(1, 256), moment(256, 1)];
    assert!(moments.is_sorted_by_key(|moment| moment.to_bytes()));
    assert!(moments.iter().all(|moment| Moment::from_bytes(moment.to_bytes()) == *moment));
}
