//! The look at the node after the removal: what has come into use meanwhile is put back, what was named meanwhile stays.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::carried::{Carried, Stays};
use super::error::{CallError, Error};
use super::execution::Execution;
use super::images::{Removed, Row};
use super::making::Making;
use super::open_journal::Kept;
use super::operation::Watch;
use super::reclaim::Holdings;
use super::stop::stop_at;
use crate::image::conflict::{guarding, is_awaited, since};
use crate::image::{Config, Conflict, Fate, ImageId, Meant, Reason, Record, Rules, dangling_name};

/// How long it may take from the look at an image's record until the container that is made of it has a snapshot.
const BIRTH: Duration = Duration::from_secs(1);

impl Execution<'_> {
    /// Reads usage once more. What has come into use since it was decided is put back as it was, and so is everything where
    /// nobody can say which pods did. Where containerd does not answer, all is left to the journal.
    pub(super) async fn look_again(&mut self, holdings: &Holdings, watch: &Watch<'_>) -> Result<(), Error> {
        if let Err(error) = self.observe(holdings, watch).await {
            if let Error::Needs(_) = error {
                self.put_all_back().await?;
            }
            return Err(error);
        }
        for index in 0..self.carried.len() {
            for image in self.deleted_by(index) {
                let conflicts = self.conflicts(index, &image).await?;
                if !conflicts.is_empty() {
                    self.put_back(index, &image).await?;
                    let Carried { plan, conflicts: own, .. } = &mut self.carried[index];
                    match image == plan.image {
                        true => *own = conflicts,
                        false => plan.reasons.extend(conflicts.into_iter().map(Reason::ParentHeld)),
                    }
                    break;
                }
            }
        }
        Ok(self.keep_last_names().await?)
    }

    /// Where only names were to go, they come back as far as they may not go by now.
    pub(super) async fn keep_guarded_names(&mut self) -> Result<(), CallError> {
        for index in 0..self.carried.len() {
            let plan = &self.carried[index].plan;
            if plan.deleted().next().is_some() {
                continue;
            }
            let conflicts = guarding(&plan.image, plan.removed(), &self.rules);
            if !conflicts.is_empty() {
                self.make_anew(index, |_| true).await?;
                self.unmake_dangling(index).await?;
                let carried = &mut self.carried[index];
                carried.stays.insert(carried.plan.image.clone(), Stays::AsItWas);
                carried.conflicts = conflicts;
            }
        }
        Ok(())
    }

    /// Removes the record that a plan has made to keep the image, where its name keeps it again: others may have given that away
    /// meanwhile.
    async fn unmake_dangling(&self, index: usize) -> Result<(), CallError> {
        for record in self.carried[index].plan.kept() {
            let now = self.node.containerd.get_image(&record.name).await?;
            let is_back = now.is_some_and(|row| row.target.digest == record.target.to_string());
            if let Some(row) = self.survey.rows.get(&dangling_name(&record.target)).filter(|_| is_back) {
                self.node.containerd.delete_image(row).await?;
            }
        }
        Ok(())
    }

    fn deleted_by(&self, index: usize) -> Vec<ImageId> {
        self.carried[index].plan.deleted().cloned().collect()
    }

    /// Where only names went, others may have removed the image's other names meanwhile. Then it gets back what went: whether it
    /// may go was not asked.
    async fn keep_last_names(&mut self) -> Result<(), CallError> {
        let gone: BTreeSet<&ImageId> = self.carried.iter().flat_map(Carried::gone).collect();
        let lost_names = |carried: &Carried| {
            let plan = &carried.plan;
            let is_kept = plan.kept().next().is_some() || gone.contains(&plan.image);
            (!is_kept && !carried.removed.is_empty()).then(|| plan.image.clone())
        };
        let mut bare: BTreeSet<ImageId> = self.carried.iter().filter_map(lost_names).collect();
        let removed: HashSet<&str> =
            self.carried.iter().flat_map(|carried| &carried.removed).map(|name| &**name).collect();
        let other = |image: &ImageId| {
            let mut records = self.survey.inventory.records_of(image);
            records.find(|record| !removed.contains(&*record.name)).map(|record| Arc::clone(&record.name))
        };
        let names = bare.iter().filter_map(other).collect();
        let others = self.node.containerd.images_named(&names).await?;
        let without = |bare: &mut BTreeSet<ImageId>, rows: &[Row]| {
            let named: BTreeSet<ImageId> =
                rows.iter().filter_map(Row::record).map(|record| record.target).collect();
            bare.retain(|image| !named.contains(image));
        };
        without(&mut bare, &others);
        let rest = self.node.containerd.list_images_of(&bare).await?;
        without(&mut bare, &rest);
        for index in 0..self.carried.len() {
            if bare.contains(&self.carried[index].plan.image) {
                self.make_anew(index, |_| true).await?;
                let carried = &mut self.carried[index];
                carried.stays.insert(carried.plan.image.clone(), Stays::ByItsLastNames);
            }
        }
        Ok(())
    }

    /// Finds out why images were put back by a run that was killed once the outcome was certain. Nothing is held any longer, so
    /// nothing is put back now.
    pub(super) async fn look_back(
        &mut self,
        kept: &Kept,
        holdings: &Holdings,
        watch: &Watch<'_>,
    ) -> Result<(), Error> {
        self.observe(holdings, watch).await?;
        for index in 0..self.carried.len() {
            let Carried { plan, stays, .. } = &mut self.carried[index];
            // Its records stay with it, but for those that others had moved.
            let is_kept = |image: &ImageId| {
                let records = || plan.removed().filter(|record| record.target == *image);
                records().any(|record| kept.stays.contains(&*record.name))
                    && !records().any(|record| kept.has_removed(&record.name))
            };
            if plan.fate == Fate::Untagged && is_kept(&plan.image) {
                stays.insert(plan.image.clone(), Stays::AsItWas);
            }
            let whole: Vec<ImageId> = plan.deleted().filter(|image| is_kept(image)).cloned().collect();
            for image in whole {
                let conflicts = self.conflicts(index, &image).await?;
                let carried = &mut self.carried[index];
                if image == carried.plan.image {
                    carried.conflicts = conflicts;
                }
                carried.stays.insert(image, Stays::AsItWas);
            }
        }
        Ok(())
    }

    /// Reads the pods, where one may have begun, and the containers anew. What was forced against them goes on only when no
    /// container of theirs can be in the making any more.
    async fn observe(&mut self, holdings: &Holdings, watch: &Watch<'_>) -> Result<(), Error> {
        if self.going().is_empty() {
            // Where only names go, nobody loses anything.
            return Ok(());
        }
        if self.sandboxes.may_have_grown(&self.node.containerd).await? {
            let pods = watch.needs.pods().await.map_err(Error::Needs)?;
            self.survey.inventory.observe_pods(pods);
        }
        self.observe_containers(holdings).await?;
        if self.rules.force && self.is_needed().await? {
            tokio::time::sleep(BIRTH).await;
            self.observe_containers(holdings).await?;
        }
        Ok(())
    }

    /// What is being made is looked at first: it is among the containers as soon as it is no longer being made.
    async fn observe_containers(&mut self, holdings: &Holdings) -> Result<(), CallError> {
        let trees = self.going().into_iter().filter_map(|image| self.survey.trees.get(image));
        let configs: Vec<&Config> = trees.flat_map(|tree| &tree.content.configs).collect();
        let making = Making::of(self.node, holdings, &configs).await?;
        let containers = self.node.containerd.containers(&self.node.known, making).await?;
        self.survey.inventory.observe_containers(containers);
        Ok(())
    }

    /// Whether somebody may be making a container of an image that is to go.
    async fn is_needed(&mut self) -> Result<bool, CallError> {
        for image in self.going().into_iter().cloned().collect::<Vec<_>>() {
            let question = |now: &_| is_awaited(now, &image);
            if self.node.ask(&mut self.survey, question).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What holds an image of a plan now. Forcing does not reach parents.
    async fn conflicts(&mut self, index: usize, image: &ImageId) -> Result<Vec<Conflict>, CallError> {
        let plan = &self.carried[index].plan;
        let (meant, force) = match *image == plan.image {
            true => (plan.meant, self.rules.force),
            false => (Meant::Image, false),
        };
        let rules = Rules { force, ..self.rules.clone() };
        let question = |now: &_| since(now, image, meant, &rules);
        self.node.ask(&mut self.survey, question).await
    }

    /// Makes the records of every image anew that was to go.
    async fn put_all_back(&mut self) -> Result<(), CallError> {
        for index in 0..self.carried.len() {
            if let Some(image) = self.deleted_by(index).first() {
                self.put_back(index, image).await?;
            }
        }
        Ok(())
    }

    /// Makes the records of an image anew, and of every parent that was pruned after it.
    async fn put_back(&mut self, index: usize, image: &ImageId) -> Result<(), CallError> {
        let after: BTreeSet<ImageId> =
            self.deleted_by(index).into_iter().skip_while(|gone| gone != image).collect();
        self.make_anew(index, |record| after.contains(&record.target)).await?;
        self.carried[index].stays.extend(after.into_iter().map(|image| (image, Stays::AsItWas)));
        Ok(())
    }

    /// Makes these records of a plan anew, as far as they are gone by it.
    async fn make_anew(&mut self, index: usize, these: impl Fn(&Record) -> bool) -> Result<(), CallError> {
        let Carried { plan, removed, .. } = &mut self.carried[index];
        for record in plan.removed().filter(|record| these(record)) {
            if let Some(row) = self.survey.rows.get(&*record.name).filter(|_| removed.remove(&record.name)) {
                stop_at("putting-back");
                self.node.containerd.create_image(row).await?;
                tracing::info!(image = %plan.image, name = %record.name, "put back");
            }
        }
        Ok(())
    }

    /// Looks for the names of images that may be there still. One that others named meanwhile stays; an identity record alone,
    /// which the CRI plugin may have made anew in between, names nothing and goes where the last look has found nothing that uses
    /// the image. Says whether one did.
    pub(super) async fn notice_names(
        &mut self,
        may_be_there: impl Fn(&ImageId) -> bool,
    ) -> Result<bool, CallError> {
        let images = self.going().into_iter().filter(|image| may_be_there(image)).cloned().collect();
        let rows = self.node.containerd.list_images_of(&images).await?;
        let mut there: HashMap<ImageId, Vec<(&Row, Record)>> = HashMap::new();
        for (row, record) in rows.iter().filter_map(|row| Some((row, row.record()?))) {
            there.entry(record.target.clone()).or_default().push((row, record));
        }
        let mut went = false;
        for index in 0..self.carried.len() {
            for image in self.deleted_by(index) {
                let Some(records) = there.get(&image) else { continue };
                let named = records.iter().filter(|(_, record)| record.kind.digest().is_none());
                let names: Vec<_> = named.map(|(_, record)| record.familiar()).collect();
                let stays = if !names.is_empty() {
                    Stays::Named(names)
                } else if self.carried[index].went(&image) && self.conflicts(index, &image).await?.is_empty()
                {
                    for (row, _) in records {
                        went |= self.node.containerd.delete_image(row).await? == Removed::Now;
                    }
                    continue;
                } else {
                    Stays::AsItWas
                };
                self.carried[index].stays.entry(image).or_insert(stays);
            }
        }
        Ok(went)
    }
}
