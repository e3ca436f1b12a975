//! A look at a node, and decisions on it: reads only what they ask for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::error::CallError;
use super::images::Row;
use super::open_journal::{OpenJournal, Stage};
use super::operation::Node;
use super::trees::Tree;
use crate::image::{Decision, ImageId, Inventory, Plan, Pod, Record, Request, Unread, decide};

/// How many things are read at once.
const CONCURRENCY: usize = 32;

/// What was found on a node.
#[derive(Debug, Default)]
pub struct Survey {
    /// As decisions see it.
    pub inventory: Inventory,
    /// The records that were read as the store has them, by name.
    pub rows: HashMap<String, Row>,
    /// What the images lead to whose content was read.
    pub trees: HashMap<ImageId, Tree>,
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
    /// Adds the dangling records that will keep the images of these as the store will have them.
    pub(super) fn learn_dangling<'a>(&mut self, kept: impl Iterator<Item = &'a Arc<Record>>) {
        for record in kept {
            let dangling = self.rows.get(&*record.name).map(|row| row.dangling(&record.target));
            self.rows.extend(dangling.map(|row| (row.name.clone(), row)));
        }
    }

    /// Adds what an image leads to.
    fn learn(&mut self, image: ImageId, tree: Tree) {
        self.inventory.learn(image.clone(), Arc::new(tree.content.clone()));
        self.trees.insert(image, tree);
    }
}

impl Node {
    /// Looks at the records, the containers and the pods that need images. Reads no content.
    pub async fn survey(&self, pods: Vec<Pod>) -> Result<Survey, CallError> {
        let (rows, containers) = tokio::try_join!(
            self.containerd.list_images(),
            self.containerd.containers(&self.known, Vec::new())
        )?;
        let inventory = Inventory::new(rows.iter().filter_map(Row::record), containers, pods);
        let rows = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        Ok(Survey { inventory, rows, ..Survey::default() })
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
        loop {
            match question(&survey.inventory) {
                Ok(answer) => return Ok(answer),
                Err(Unread(images)) => self.read(survey, images).await?,
            }
        }
    }

    /// Reads the content of images into the survey.
    pub(super) async fn read(&self, survey: &mut Survey, images: BTreeSet<ImageId>) -> Result<(), CallError> {
        let walk = |image: ImageId| async move {
            let tree = self.trees.walk(&self.containerd, &image).await?;
            Ok::<_, CallError>((image, tree))
        };
        let trees = stream::iter(images).map(walk).buffer_unordered(CONCURRENCY);
        let trees: Vec<_> = trees.try_collect().await?;
        trees.into_iter().for_each(|(image, tree)| survey.learn(image, tree));
        Ok(())
    }
}
