//! Erasing a body: the record first, then the bytes.

use crate::batch::Batch;
use crate::effect::Effect;
use crate::moment::Moment;
use crate::record::{BodyErased, Record, RecordSeq};
use crate::state::Core;

impl Core {
    /// Has the body beside a record erased once that is on record.
    pub(super) fn erase(&mut self, moment: Moment, record: RecordSeq, batch: &mut Batch) {
        self.decided(batch, Record::BodyErased(BodyErased { record, at: moment.wall }));
        batch.effect(Effect::Erase { record });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use aldis_wire::ids::{NodeId, UnixMillis};
    use aldis_wire::signing::IdentityKey;

    #[test]
    fn i1_a_body_is_erased_only_after_a_record_says_so() {
        let key = IdentityKey::from_seed(&[1; 32]);
        let mut core = Core::new(NodeId::new("cert.br").unwrap(), key.id(), Limits::default());
        let moment = Moment { wall: UnixMillis::new(5), monotonic_ms: 0, entropy: [0; 32] };
        let mut batch = core.batch();
        core.erase(moment, RecordSeq(3), &mut batch);
        let mut on_disk = Vec::new();
        let effects = core.complete(moment, batch).commit(&key.into(), |entries| {
            on_disk.extend(entries.iter().map(|entry| Record::decode(&entry.record).unwrap()));
            Ok::<_, ()>(())
        });
        assert_eq!(on_disk, vec![Record::BodyErased(BodyErased { record: RecordSeq(3), at: moment.wall })]);
        assert_eq!(effects.unwrap(), vec![Effect::Erase { record: RecordSeq(3) }]);
        let mut batch = core.batch();
        core.erase(moment, RecordSeq(4), &mut batch);
        core.complete(moment, batch).commit(&IdentityKey::from_seed(&[1; 32]).into(), |_| Err(())).unwrap_err();
    }
}
