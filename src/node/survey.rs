//! A look at a node, and decisions on it: reads only what they ask for.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::error::CallError;
use super::images::{IMAGES_MAX, Row};
use super::open_journal::{OpenJournal, Stage};
use super::operation::Node;
use super::trees::Tree;
use crate::image::{Decision, ImageId, Inventory, Plan, Pod, Reach, Record, Request, Unread, decide};

/// How many things are read at once.
const CONCURRENCY: usize = 32;
/// To find more records than this by their names, the daemon is quicker to list everything.
const NAMES_MAX: usize = 16;
/// How often a decision may ask for more records. Then the store changes under it, and it gets all of them at once.
const LOOKS_MAX: usize = 3;

/// What was found on a node.
#[derive(Debug, Default)]
pub struct Survey {
    /// As decisions see it.
    pub inventory: Inventory,
    /// The records that were read as the store has them, by name.
    pub rows: HashMap<String, Row>,
    /// What the images lead to whose content was read.
    pub trees: HashMap<ImageId, Arc<Tree>>,
    /// The images that are somebody else's.
    pub(super) left_alone: LeftAlone,
    /// Records that are removed for now. What is asked of the inventory is asked as if they were there.
    away: Vec<Arc<Record>>,
}

/// The images that killed operations had begun on which somebody else is to end, and whose those were.
#[derive(Debug, Clone, Default)]
pub(super) struct LeftAlone(HashMap<ImageId, String>);

impl LeftAlone {
    /// The images of these journals, but for those whose outcome is certain.
    pub(super) fn of(journals: &[OpenJournal]) -> Self {
        let begun = journals.iter().filter(|open| open.stage == Stage::Begun).map(|open| &open.journal);
        let images = begun.flat_map(|journal| journal.images().map(|image| (image, journal.owner.clone())));
        Self(images.collect())
    }

    /// Parents that are somebody else's stay, and keep nothing else.
    pub(super) fn spare_parents(&self, decisions: &mut [Decision]) {
        for plan in decisions.iter_mut().filter_map(|decision| decision.verdict.as_mut().ok()) {
            if self.owner_of(plan).is_some() {
                plan.spare_parents();
            }
        }
    }

    /// Whose operation is in the way of a plan.
    pub(super) fn owner_of(&self, plan: &Plan) -> Option<&str> {
        plan.touched().find_map(|image| self.0.get(image)).map(String::as_str)
    }
}

impl Survey {
    /// Adds the records that there are within `reach`.
    fn learn_records(&mut self, reach: Reach, rows: Vec<Row>) {
        let found: HashSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let is_elsewhere = |record: &Record| match self.inventory.record(&record.name) {
            Ok(Some(now)) => now.target != record.target,
            Ok(None) | Err(_) => false,
        };
        let away = self.away.iter().filter(|record| !found.contains(&*record.name) && !is_elsewhere(record));
        let away: Vec<Record> = away.map(|record| Record::clone(record)).collect();
        self.inventory.learn_records(reach, rows.iter().filter_map(Row::record).chain(away));
        self.rows.extend(rows.into_iter().map(|row| (row.name.clone(), row)));
    }

    /// Counts these records as there from now on, unless one of that name points elsewhere.
    pub(super) fn count_as_there(&mut self, away: Vec<Arc<Record>>) {
        self.away = away;
    }

    /// Adds the dangling records that will keep the images of these as the store will have them.
    pub(super) fn learn_dangling<'a>(&mut self, kept: impl Iterator<Item = &'a Arc<Record>>) {
        for record in kept {
            let dangling = self.rows.get(&*record.name).map(|row| row.dangling(&record.target));
            self.rows.extend(dangling.map(|row| (row.name.clone(), row)));
        }
    }

    /// Adds what an image leads to.
    pub(super) fn learn(&mut self, image: ImageId, tree: Arc<Tree>) {
        self.inventory.learn(image.clone(), Arc::new(tree.content.clone()));
        self.trees.insert(image, tree);
    }
}

impl Node {
    /// Looks at the records, the containers and the pods that need images. Reads no content.
    pub async fn survey(&self, pods: Vec<Pod>) -> Result<Survey, CallError> {
        self.look(Reach::All, pods).await
    }

    /// Looks at the containers, the pods and what a request is sure to need of the records.
    pub async fn glance(&self, request: &Request, pods: Vec<Pod>) -> Result<Survey, CallError> {
        self.look(request.reach(), pods).await
    }

    async fn look(&self, reach: Reach, pods: Vec<Pod>) -> Result<Survey, CallError> {
        let (mut survey, containers) = tokio::try_join!(
            self.look_at_records(reach),
            self.containerd.containers(&self.known, Vec::new())
        )?;
        survey.inventory.observe(containers, pods);
        Ok(survey)
    }

    /// Looks at the records within `reach`. Whoever asks for some names asks for all of the images that they mean next.
    pub(super) async fn look_at_records(&self, reach: Reach) -> Result<Survey, CallError> {
        let mut survey = Survey::default();
        let (reach, rows) = self.records(reach).await?;
        let images: BTreeSet<ImageId> = match reach {
            Reach::All => BTreeSet::new(),
            Reach::Part { .. } => rows.iter().filter_map(|row| row.target.digest.parse().ok()).collect(),
        };
        survey.learn_records(reach, rows);
        if !images.is_empty() {
            let records = Reach::Part { names: BTreeSet::new(), images };
            self.read(&mut survey, Unread::records(records)).await?;
        }
        Ok(survey)
    }

    /// Decides a request, and reads what its decisions need.
    pub async fn decide(&self, survey: &mut Survey, request: &Request) -> Result<Vec<Decision>, CallError> {
        self.ask(survey, |inventory| decide(inventory, request)).await
    }

    /// Asks something of the inventory until everything that the answer needs has been read.
    pub(super) async fn ask<T>(
        &self,
        survey: &mut Survey,
        question: impl Fn(&Inventory) -> Result<T, Unread>,
    ) -> Result<T, CallError> {
        let mut looks = 0;
        loop {
            let mut unread = match question(&survey.inventory) {
                Ok(answer) => return Ok(answer),
                Err(unread) => unread,
            };
            if unread.records != Reach::NONE {
                looks += 1;
            }
            if looks > LOOKS_MAX {
                unread.records = Reach::All;
            }
            self.read(survey, unread).await?;
        }
    }

    /// Reads records and the content of images into the survey.
    pub async fn read(&self, survey: &mut Survey, unread: Unread) -> Result<(), CallError> {
        let Unread { mut contents, records } = unread;
        if let Reach::Part { images, .. } = &records {
            // Whoever asks for an image's records asks for its content next.
            contents.extend(images.iter().filter(|image| survey.inventory.content(image).is_err()).cloned());
        }
        let (trees, (reach, rows)) = tokio::try_join!(self.contents(contents), self.records(records))?;
        survey.learn_records(reach, rows);
        trees.into_iter().for_each(|(image, tree)| survey.learn(image, tree));
        Ok(())
    }

    async fn contents(&self, images: BTreeSet<ImageId>) -> Result<Vec<(ImageId, Arc<Tree>)>, CallError> {
        let walk = |image: ImageId| async move {
            let tree = self.trees.walk(&self.containerd, &image).await?;
            Ok((image, Arc::new(tree)))
        };
        stream::iter(images).map(walk).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// The records within `reach`, or all where those are found sooner. Says how far they reach.
    pub(super) async fn records(&self, reach: Reach) -> Result<(Reach, Vec<Row>), CallError> {
        let Reach::Part { names, images } = &reach else {
            return Ok((Reach::All, self.containerd.list_images().await?));
        };
        if names.len() > NAMES_MAX || images.len() > IMAGES_MAX {
            return Ok((Reach::All, self.containerd.list_images().await?));
        }
        let get = |name| self.containerd.get_image(name);
        let named = stream::iter(names).map(|name| get(name)).buffer_unordered(CONCURRENCY).try_collect();
        let (named, mut rows): (Vec<Option<Row>>, _) =
            tokio::try_join!(named, self.containerd.list_images_of(images))?;
        rows.extend(named.into_iter().flatten());
        Ok((reach, rows))
    }
}
