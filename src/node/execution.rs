//! Carrying plans out: hold everything, remove, look once more, put back what has come into use, let go.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::{StreamExt, stream};

use super::carried::Carried;
use super::collection::Collection;
use super::error::{CallError, Error};
use super::groups::groups;
use super::images::Removed;
use super::journal::{Journal, Part, PlannedEntry, PlannedPruning};
use super::open_journal::{Kept, OpenJournal};
use super::operation::{Node, Operation, Progress, Watch};
use super::reclaim::{Holdings, Left};
use super::result::{EntryResult, Outcome};
use super::sandboxes::Sandboxes;
use super::stop::stop_at;
use super::survey::Survey;
use crate::image::{Digest, Plan, Rules, Step, dangling_name};

/// How many images lose records at once. The store commits one record at a time, but the calls overlap.
const CONCURRENCY: usize = 16;

/// The plans of one operation while they are carried out.
pub(super) struct Execution<'a> {
    pub(super) node: &'a Node,
    pub(super) survey: Survey,
    /// The entry that each plan is for.
    pub(super) entries: Vec<String>,
    pub(super) plans: Vec<Plan>,
    /// The place of each in the journal, in order.
    places: Vec<usize>,
    pub(super) rules: Rules,
    /// The sandboxes that there were before the pods were listed which the survey has.
    pub(super) sandboxes: Sandboxes,
    owner: String,
    role: Role,
}

/// What an execution is of the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// All of it.
    Whole,
    /// One image goes, and its parents are pruned in another step after this.
    Image,
    /// The parents go, after the image of the journal with this ID.
    ParentsOf(String),
}

impl Role {
    /// What the rest of a killed operation is of it: the pruning after an image is decided anew.
    pub(super) fn of(killed: &Journal) -> Self {
        killed.parents_of().map_or(Self::Whole, |journal| Self::ParentsOf(journal.to_owned()))
    }
}

impl<'a> Execution<'a> {
    /// An execution of these plans, each for an entry, on what the survey found.
    pub(super) fn new(
        node: &'a Node,
        mut survey: Survey,
        (entries, plans): (Vec<String>, Vec<Plan>),
        operation: &Operation,
    ) -> Self {
        survey.count_as_there(plans.iter().flat_map(Plan::removed).cloned().collect());
        survey.learn_dangling(plans.iter().flat_map(Plan::kept));
        Self {
            node,
            survey,
            entries,
            places: (0..plans.len()).collect(),
            plans,
            rules: operation.request.rules.clone(),
            sandboxes: operation.sandboxes.clone(),
            owner: operation.owner.clone(),
            role: Role::Whole,
        }
    }

    /// The same as one of two steps.
    pub(super) fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The same where the plans are some of a journal, at these places.
    pub(super) fn at(self, places: Vec<usize>) -> Self {
        Self { places, ..self }
    }

    /// Carries the plans out and returns what became of each. The journal is written before anything else is.
    pub(super) async fn run(
        self,
        watch: &Watch<'_>,
        journals: &mut Vec<OpenJournal>,
    ) -> Result<Vec<EntryResult>, Error> {
        if self.plans.is_empty() || watch.cancel.is_cancelled() {
            return Ok(self.plans.iter().map(|plan| Carried::default().result(plan)).collect());
        }
        let mut carried: Vec<_> = self.plans.iter().map(|_| Carried::default()).collect();
        let removing = async {
            let journal = OpenJournal::write(&self.node.containerd, self.journal()).await?;
            stop_at("journal-open");
            self.remove_all(&mut carried, watch).await?;
            Ok::<_, Error>(journal)
        };
        let (journal, holdings) = tokio::join!(removing, self.measure());
        let finished = self.finish(carried, journal?, holdings, watch).await;
        let (results, journal) = finished.map_err(Error::unfinished)?;
        journals.push(journal);
        Ok(results)
    }

    /// Everything after the removal: also what is left to do of a journal that was found.
    pub(super) async fn finish(
        mut self,
        mut carried: Vec<Carried>,
        mut journal: OpenJournal,
        holdings: Result<Holdings, CallError>,
        watch: &Watch<'_>,
    ) -> Result<(Vec<EntryResult>, OpenJournal), Error> {
        let (containerd, holdings) = (&self.node.containerd, holdings?);
        stop_at("removed");
        let prepare = async { Ok::<_, Error>(journal.collection(containerd).await?) };
        let ((), collection) = tokio::try_join!(self.look_again(&mut carried, &holdings, watch), prepare)?;
        stop_at("looked-again");
        let kept = self.kept(&carried, journal.journal.plans.len());
        journal.settle(containerd, kept).await?;
        stop_at("settled");
        let results = self.let_go(&mut carried, holdings, collection, watch).await?;
        Ok((results, journal))
    }

    /// What was not done of so many plans of a journal.
    fn kept(&self, carried: &[Carried], planned: usize) -> Kept {
        let mut kept = Kept::default();
        kept.unbegun.extend((0..planned).filter(|place| self.places.binary_search(place).is_err()));
        for ((plan, place), carried) in self.plans.iter().zip(&self.places).zip(carried) {
            kept.refused.extend(carried.failure().map(|why| (*place, why)));
            for record in plan.removed().filter(|record| !carried.removed.contains(&record.name)) {
                let name = record.name.to_string();
                match carried.keeps(record) {
                    true => drop(kept.stays.insert(name)),
                    false => drop(kept.lost.insert(name, carried.moved_to(record).map(str::to_owned))),
                }
            }
        }
        kept
    }

    /// What the images that are to go have on the disk.
    pub(super) async fn measure(&self) -> Result<Holdings, CallError> {
        let going = self.plans.iter().flat_map(Plan::deleted).collect();
        Holdings::of(&self.node.containerd, &self.survey, &going).await
    }

    /// What remains once nothing is put back any longer: let everything leave the disk and measure it. What was named
    /// meanwhile stays by that name, so names are looked at only where something is left.
    pub(super) async fn let_go(
        &mut self,
        carried: &mut [Carried],
        holdings: Holdings,
        collection: Collection,
        watch: &Watch<'_>,
    ) -> Result<Vec<EntryResult>, Error> {
        let containerd = &self.node.containerd;
        (watch.progress)(Progress::Collecting);
        collection.run(containerd).await?;
        stop_at("collected");
        let mut left = holdings.left(containerd).await?;
        if self.notice_names(|image| !holdings.has_lost(image, &left), carried).await? {
            Collection::again(containerd).await?;
            left = holdings.left(containerd).await?;
        }
        if self.release_snapshots(carried, &left).await? {
            Collection::again(containerd).await?;
            left = holdings.left(containerd).await?;
        }
        let mut reclaimed = holdings.gone(&left);
        let result = |(plan, carried): (&Plan, &Carried)| {
            let bytes = carried.gone(plan).map(|image| reclaimed.take(&self.survey, image)).sum();
            EntryResult { reclaimed_bytes: bytes, ..self.result(plan, carried) }
        };
        Ok(self.plans.iter().zip(&*carried).map(result).collect())
    }

    /// What to say of a plan. Parents are not what was asked for: where others have named one meanwhile, pruning ends there.
    fn result(&self, plan: &Plan, carried: &Carried) -> EntryResult {
        let mut result = carried.result(plan);
        if matches!(self.role, Role::ParentsOf(_))
            && !carried.has_failed()
            && result.outcome == Outcome::Failed
        {
            result.outcome = Outcome::Absent;
        }
        result
    }

    fn part(&self) -> Option<Part> {
        match &self.role {
            Role::Whole => None,
            Role::Image => {
                let tree = self.survey.trees.get(&self.plans.first()?.image)?;
                Some(Part::Image(PlannedPruning::write(&self.rules, &tree.content)))
            }
            Role::ParentsOf(journal) => Some(Part::ParentsOf(journal.clone())),
        }
    }

    fn journal(&self) -> Journal {
        let names: BTreeSet<&str> =
            self.plans.iter().flat_map(Plan::removed).map(|record| &*record.name).collect();
        Journal {
            id: Journal::new_id(),
            owner: self.owner.clone(),
            force: self.rules.force,
            part: self.part(),
            rows: names.into_iter().filter_map(|name| self.survey.rows.get(name).cloned()).collect(),
            plans: self.entries.iter().zip(&self.plans).map(PlannedEntry::write).collect(),
        }
    }

    /// Removes the records of every plan; plans that touch the same image one after another.
    ///
    /// # Errors
    ///
    /// Where a call fails that may succeed later: nobody can say whether it was done, so the rest is left to the journal.
    pub(super) async fn remove_all(&self, carried: &mut [Carried], watch: &Watch<'_>) -> Result<(), Error> {
        let total = self.plans.len();
        let mut slots: HashMap<usize, &mut Carried> = carried.iter_mut().enumerate().collect();
        let groups: Vec<Vec<(&Plan, &mut Carried)>> = groups(&self.plans)
            .into_iter()
            .map(|group| {
                group
                    .into_iter()
                    .filter_map(|index| Some((&self.plans[index], slots.remove(&index)?)))
                    .collect()
            })
            .collect();
        let done = std::sync::atomic::AtomicUsize::new(0);
        stream::iter(groups)
            .for_each_concurrent(CONCURRENCY, |group| async {
                for (plan, carried) in group {
                    if carried.conflicts.is_empty() && !watch.cancel.is_cancelled() {
                        carried.begun = true;
                        carried.failed = self.remove(plan, carried).await.err();
                    }
                    let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                    (watch.progress)(Progress::Removing { done, total });
                }
            })
            .await;
        match carried.iter_mut().find_map(|carried| carried.failed.take_if(|error| error.may_pass())) {
            Some(error) => Err(Error::Unfinished(error)),
            None => Ok(()),
        }
    }

    async fn remove(&self, plan: &Plan, carried: &mut Carried) -> Result<(), CallError> {
        let containerd = &self.node.containerd;
        for step in &plan.steps {
            match step {
                // Where nothing is left to be removed it was made, and another plan may have removed it since.
                Step::Keep(record) if plan.removed().any(|record| carried.is_due(record)) => {
                    if let Some(row) = self.survey.rows.get(&*dangling_name(&record.target)) {
                        containerd.keep_image(row).await?;
                    }
                }
                Step::Remove { record, .. } if carried.is_due(record) => {
                    let Some(row) = self.survey.rows.get(&*record.name) else {
                        continue;
                    };
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
                Step::Keep(_) | Step::Remove { .. } | Step::Deleted(_) => {}
            }
        }
        Ok(())
    }

    /// A config that something else keeps, so that it is left, must not keep the root file system of an image that is gone.
    /// Says whether one did.
    async fn release_snapshots(&self, carried: &[Carried], left: &Left) -> Result<bool, CallError> {
        let containerd = &self.node.containerd;
        let gone = self.plans.iter().zip(carried).flat_map(|(plan, carried)| carried.gone(plan));
        let trees = gone.filter_map(|image| self.survey.trees.get(image));
        let configs: BTreeSet<&Digest> =
            trees.flat_map(|tree| tree.content.configs.iter().map(|config| &config.digest)).collect();
        let keeps = |config: &&&Digest| {
            left.blobs.get(**config).is_some_and(|stored| !stored.snapshotters.is_empty())
        };
        let keeping: Vec<&Digest> = configs.iter().filter(keeps).copied().collect();
        if keeping.is_empty() {
            return Ok(false);
        }
        let Some(holders) = containerd.holders_of(&keeping).await? else {
            return Ok(false);
        };
        let rows = containerd.list_images().await?;
        let mut released = false;
        for (config, holders) in keeping.into_iter().zip(holders) {
            let is_used = rows.iter().any(|row| holders.contains(row.target.digest.as_str()));
            released |= !is_used && containerd.release_snapshots(config).await?;
        }
        Ok(released)
    }
}
