//! Removing the records of plans: several images at once, and what touches the same image one after another.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};

use super::carried::Carried;
use super::client::Containerd;
use super::error::{CallError, Error};
use super::groups::groups;
use super::images::{Removed, Row};
use super::operation::{Progress, Watch};
use super::stop::stop_at;
use crate::image::{ImageId, Step, dangling_name};

/// How many images lose records at once. The store commits one record at a time, but the calls overlap.
const CONCURRENCY: usize = 16;

/// Removes the records of every plan; `rows` are the records as the store has them.
///
/// # Errors
///
/// Where a call fails that may succeed later: nobody can say whether it was done, so the rest is left to the journal.
pub(super) async fn remove_all(
    containerd: &Containerd,
    rows: &HashMap<String, Row>,
    carried: &mut [Carried],
    watch: &Watch<'_>,
) -> Result<(), Error> {
    let total = carried.len();
    let done = AtomicUsize::new(0);
    stream::iter(grouped(carried))
        .for_each_concurrent(CONCURRENCY, |group| async {
            for carried in group {
                if carried.conflicts.is_empty() && !watch.cancel.is_cancelled() {
                    carried.begun = true;
                    carried.failed = remove(containerd, rows, carried).await.err();
                }
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                (watch.progress)(Progress::Removing { done, total });
            }
        })
        .await;
    match carried.iter_mut().find_map(|carried| carried.failed.take_if(|error| error.may_pass())) {
        Some(error) => Err(Error::Unfinished(error)),
        None => Ok(()),
    }
}

fn grouped(carried: &mut [Carried]) -> Vec<Vec<&mut Carried>> {
    let groups = groups(carried.iter().map(|carried| &carried.plan));
    let mut slots: HashMap<usize, &mut Carried> = carried.iter_mut().enumerate().collect();
    let group = |group: Vec<usize>| group.into_iter().filter_map(|index| slots.remove(&index)).collect();
    groups.into_iter().map(group).collect()
}

async fn remove(
    containerd: &Containerd,
    rows: &HashMap<String, Row>,
    carried: &mut Carried,
) -> Result<(), CallError> {
    for step in carried.plan.steps.clone() {
        match step {
            // Where nothing is left to be removed it was made, and another plan may have removed it since.
            Step::Keep(record) if carried.plan.removed().any(|record| carried.is_due(record)) => {
                if let Some(row) = rows.get(&*dangling_name(&record.target)) {
                    containerd.keep_image(row).await?;
                }
            }
            Step::Remove { record, .. } if carried.is_due(&record) => {
                let Some(row) = rows.get(&*record.name) else { continue };
                stop_at("removing");
                match containerd.delete_image(row).await? {
                    Removed::Now => {
                        tracing::info!(image = %record.target, name = %record.name, "removed");
                        carried.removed.insert(Arc::clone(&record.name));
                    }
                    Removed::Before => {}
                    Removed::Moved(to) => carried.moved.push((Arc::clone(&record.name), to)),
                }
            }
            Step::Deleted(image) if carried.plan.deleted().last() != Some(&image) => {
                if is_named(containerd, &image).await? {
                    carried.spare_after(&image);
                }
            }
            Step::Keep(_) | Step::Remove { .. } | Step::Deleted(_) => {}
        }
    }
    Ok(())
}

/// Whether others have named an image meanwhile, so that it is no parent's last child that goes. The CRI makes its own record when it
/// likes.
async fn is_named(containerd: &Containerd, image: &ImageId) -> Result<bool, CallError> {
    let rows = containerd.list_images_of(&BTreeSet::from([image.clone()])).await?;
    let mut records = rows.iter().filter_map(Row::record).filter(|record| record.target == *image);
    Ok(records.any(|record| record.kind.digest().is_none()))
}
