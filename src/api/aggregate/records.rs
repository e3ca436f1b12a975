//! Each record once, for as long as a node's report has it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::api::result::Record;

/// Where a record is.
pub(super) type RecordId = u32;

/// The records of all reports.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    slots: Vec<Slot>,
    ids: HashMap<Arc<Record>, RecordId>,
    free: Vec<RecordId>,
}

#[derive(Clone, Debug)]
struct Slot {
    record: Option<Arc<Record>>,
    /// How often reports have it.
    holders: u32,
}

impl Records {
    /// Holds a record once more, and says where it is.
    pub(super) fn hold(&mut self, record: Record) -> RecordId {
        if let Some(id) = self.ids.get(&record) {
            self.slots[*id as usize].holders += 1;
            return *id;
        }
        let record = Arc::new(record);
        let slot = Slot { record: Some(Arc::clone(&record)), holders: 1 };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                RecordId::try_from(self.slots.len() - 1).unwrap_or(RecordId::MAX)
            }
        };
        self.ids.insert(record, id);
        id
    }

    /// Holds it once less. What nothing holds is forgotten.
    pub(super) fn release(&mut self, id: RecordId) {
        let slot = &mut self.slots[id as usize];
        slot.holders -= 1;
        if slot.holders == 0
            && let Some(record) = slot.record.take()
        {
            self.ids.remove(&record);
            self.free.push(id);
        }
    }

    /// The record at a place that something holds.
    pub(super) fn get(&self, id: RecordId) -> Option<&Record> {
        self.slots[id as usize].record.as_deref()
    }

    /// Every place, with its record where something holds one.
    pub(super) fn places(&self) -> impl ExactSizeIterator<Item = Option<&Record>> {
        self.slots.iter().map(|slot| slot.record.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_report_has_any_longer_is_forgotten() {
        let mut records = Records::default();
        let record = |name: usize| Record::Untagged(format!("app:{name}"));
        let kept = records.hold(record(0));
        assert_eq!(records.hold(record(0)), kept);
        for number in 1..1_000 {
            let id = records.hold(record(number));
            assert_eq!(records.get(id), Some(&record(number)));
            records.release(id);
        }
        records.release(kept);
        assert_eq!(records.places().collect::<Vec<_>>(), [Some(&record(0)), None]);
        records.release(kept);
        assert!(records.ids.is_empty());
    }
}
