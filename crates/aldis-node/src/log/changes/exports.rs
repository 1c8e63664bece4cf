//! Messages that were given out.

use super::super::pending::Pending;
use super::super::rows::{EXPORT, Export, Message, message_key, of_message_key};
use super::super::store::StoreError;
use aldis_core::record::Exported;

/// Notes with each message that it was given out, by whom and when. One that the log does not have leaves no trace
/// here; the record stands in the journal all the same.
pub(super) fn take_exported(number: u64, exported: &Exported, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    for id in exported.messages.iter() {
        let Some(mut message) = rows.get::<Message>(&message_key(id))? else { continue };
        let row = Export { at: exported.at, bodies: exported.bodies, by: exported.by.clone() };
        rows.put(of_message_key(EXPORT, id, number), &row);
        if exported.bodies && !message.exported {
            message.exported = true;
            rows.put(message_key(id), &message);
        }
    }
    Ok(())
}
