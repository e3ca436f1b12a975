//! Carrying plans out: hold everything, remove, look once more, put back what has come into use, let go.

use std::collections::BTreeSet;

use super::carried::Carried;
use super::collection::Collection;
use super::error::{CallError, Error};
use super::journal::{Journal, PlannedEntry};
use super::open_journal::{Kept, OpenJournal};
use super::operation::{Node, Operation, Progress, Watch};
use super::reclaim::{Holdings, Remainder};
use super::removal::remove_all;
use super::result::EntryResult;
use super::sandboxes::Sandboxes;
use super::stop::stop_at;
use super::survey::Survey;
use crate::image::{Digest, ImageId, Plan, Rules};

/// The plans of one operation while they are carried out.
pub(super) struct Execution<'a> {
    pub(super) node: &'a Node,
    pub(super) survey: Survey,
    pub(super) carried: Vec<Carried>,
    pub(super) rules: Rules,
    /// The sandboxes that there were before the pods were listed which the survey has.
    pub(super) sandboxes: Sandboxes,
    owner: String,
}

impl<'a> Execution<'a> {
    /// An execution of these plans on what the survey found.
    pub(super) fn new(
        node: &'a Node,
        mut survey: Survey,
        carried: Vec<Carried>,
        operation: &Operation,
    ) -> Self {
        let plans = || carried.iter().map(|carried| &carried.plan);
        survey.learn_dangling(plans().flat_map(Plan::kept));
        Self {
            node,
            survey,
            carried,
            rules: operation.request.rules.clone(),
            sandboxes: operation.sandboxes.clone(),
            owner: operation.owner.clone(),
        }
    }

    /// Carries the plans out and returns what became of each, and the journal, which is written before anything else is.
    pub(super) async fn run(
        mut self,
        watch: &Watch<'_>,
    ) -> Result<(Vec<EntryResult>, Option<OpenJournal>), Error> {
        if self.carried.is_empty() || watch.cancel.is_cancelled() {
            return Ok((self.carried.iter().map(Carried::result).collect(), None));
        }
        let journal = self.journal();
        let going: BTreeSet<ImageId> = self.going().into_iter().cloned().collect();
        let (containerd, survey, carried) = (&self.node.containerd, &self.survey, &mut self.carried);
        let removing = async {
            let journal = OpenJournal::write(containerd, journal).await?;
            stop_at("journal-open");
            remove_all(containerd, &survey.rows, carried, watch).await?;
            Ok::<_, Error>(journal)
        };
        let going = going.iter().collect();
        let (journal, holdings) = tokio::join!(removing, Holdings::of(containerd, survey, &going));
        let journal = journal?;
        let (results, journal) = self.finish(journal, holdings, watch).await.map_err(Error::unfinished)?;
        Ok((results, Some(journal)))
    }

    /// Everything after the removal: also what is left to do of a journal that was found.
    pub(super) async fn finish(
        mut self,
        mut journal: OpenJournal,
        holdings: Result<Holdings, CallError>,
        watch: &Watch<'_>,
    ) -> Result<(Vec<EntryResult>, OpenJournal), Error> {
        let (containerd, holdings) = (&self.node.containerd, holdings?);
        stop_at("removed");
        let prepare = async { Ok::<_, Error>(journal.collection(containerd).await?) };
        let ((), collection) = tokio::try_join!(self.look_again(&holdings, watch), prepare)?;
        stop_at("looked-again");
        let kept = self.kept(journal.journal.plans.len());
        journal.settle(containerd, kept).await?;
        stop_at("settled");
        let results = self.let_go(holdings, collection, watch).await?;
        Ok((results, journal))
    }

    /// What was not done of so many plans of a journal.
    fn kept(&self, planned: usize) -> Kept {
        let mut kept = Kept::default();
        let places: BTreeSet<usize> = self.carried.iter().map(|carried| carried.place).collect();
        kept.unbegun.extend((0..planned).filter(|place| !places.contains(place)));
        for carried in &self.carried {
            kept.refused.extend(carried.failure().map(|why| (carried.place, why)));
            for record in carried.plan.removed().filter(|record| !carried.removed.contains(&record.name)) {
                let name = record.name.to_string();
                match carried.keeps(record) {
                    true => drop(kept.stays.insert(name)),
                    false => drop(kept.lost.insert(name, carried.moved_to(record).map(str::to_owned))),
                }
            }
        }
        kept
    }

    /// The images that are to go.
    pub(super) fn going(&self) -> BTreeSet<&ImageId> {
        self.carried.iter().flat_map(|carried| carried.plan.deleted()).collect()
    }

    /// What the images that are to go have on the disk.
    pub(super) async fn measure(&self) -> Result<Holdings, CallError> {
        Holdings::of(&self.node.containerd, &self.survey, &self.going()).await
    }

    /// What remains once nothing is put back any longer: let everything leave the disk and measure it. What was named
    /// meanwhile stays by that name, so names are looked at only where something is left.
    pub(super) async fn let_go(
        &mut self,
        holdings: Holdings,
        collection: Collection,
        watch: &Watch<'_>,
    ) -> Result<Vec<EntryResult>, Error> {
        let containerd = &self.node.containerd;
        (watch.progress)(Progress::Collecting);
        collection.run(containerd).await?;
        stop_at("collected");
        let mut remainder = holdings.remainder(containerd).await?;
        if self.notice_names(|image| !holdings.has_lost(image, &remainder)).await? {
            Collection::again(containerd).await?;
            remainder = holdings.remainder(containerd).await?;
        }
        if self.release_snapshots(&remainder).await? {
            Collection::again(containerd).await?;
            remainder = holdings.remainder(containerd).await?;
        }
        let mut reclaimed = holdings.gone(&remainder);
        let result = |carried: &Carried| {
            let bytes = carried.took().map(|image| reclaimed.take(&self.survey, image)).sum();
            EntryResult { reclaimed_bytes: bytes, ..carried.result() }
        };
        Ok(self.carried.iter().map(result).collect())
    }

    fn journal(&self) -> Journal {
        let records = self.carried.iter().flat_map(|carried| carried.plan.removed());
        let names: BTreeSet<&str> = records.map(|record| &*record.name).collect();
        Journal {
            id: Journal::new_id(),
            owner: self.owner.clone(),
            force: self.rules.force,
            rows: names.into_iter().filter_map(|name| self.survey.rows.get(name).cloned()).collect(),
            plans: self.carried.iter().map(PlannedEntry::write).collect(),
        }
    }

    /// [Removes](remove_all) what is still to be removed.
    pub(super) async fn remove_all(&mut self, watch: &Watch<'_>) -> Result<(), Error> {
        remove_all(&self.node.containerd, &self.survey.rows, &mut self.carried, watch).await
    }

    /// A config that something else keeps, so that it is left, must not keep the root file system of an image that is gone.
    /// Says whether one did.
    async fn release_snapshots(&self, remainder: &Remainder) -> Result<bool, CallError> {
        let containerd = &self.node.containerd;
        let gone = self.carried.iter().flat_map(Carried::gone);
        let trees = gone.filter_map(|image| self.survey.trees.get(image));
        let configs: BTreeSet<&Digest> =
            trees.flat_map(|tree| tree.content.configs.iter().map(|config| &config.digest)).collect();
        let keeps = |config: &&Digest| {
            remainder.blobs.get(*config).is_some_and(|stored| !stored.snapshotters.is_empty())
        };
        let keeping: Vec<&Digest> = configs.into_iter().filter(keeps).collect();
        if keeping.is_empty() {
            return Ok(false);
        }
        let holders = containerd.holders_of(&keeping).await?;
        let rows = containerd.list_images().await?;
        let mut released = false;
        for (config, holders) in keeping.into_iter().zip(holders) {
            let Some(holders) = holders else { continue };
            let is_used = rows.iter().any(|row| holders.contains(row.target.digest.as_str()));
            released |= !is_used && containerd.release_snapshots(config).await?;
        }
        Ok(released)
    }
}
