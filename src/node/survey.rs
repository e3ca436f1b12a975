//! A look at a node, and decisions on it: reads only what they ask for.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::error::CallError;
use super::images::Row;
use super::operation::Node;
use super::trees::Tree;
use crate::image::{Decision, ImageId, Inventory, Pod, Request, Unread, decide};

/// How many images are read at once.
const CONCURRENCY: usize = 32;

/// What was found on a node.
#[derive(Debug, Default)]
pub struct Survey {
    /// As decisions see it.
    pub inventory: Inventory,
    /// The records as the store has them, by name.
    pub rows: HashMap<String, Row>,
    /// What the images lead to whose content was read.
    pub trees: HashMap<ImageId, Arc<Tree>>,
}

impl Node {
    /// Looks at the records, the containers and the pods that need images. Reads no content.
    pub async fn survey(&self, pods: Vec<Pod>) -> Result<Survey, CallError> {
        let (rows, containers) =
            tokio::try_join!(self.containerd.list_images(), self.containerd.containers(&self.known))?;
        let inventory = Inventory::new(rows.iter().filter_map(Row::record), containers, pods);
        let rows = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        Ok(Survey { inventory, rows, trees: HashMap::new() })
    }

    /// Decides a request, and reads the content that its decisions need.
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
                Err(unread) => self.read(survey, unread).await?,
            }
        }
    }

    /// Reads the content of images into the survey.
    pub async fn read(&self, survey: &mut Survey, unread: Unread) -> Result<(), CallError> {
        let walk = |image: ImageId| async move {
            let tree = self.trees.walk(&self.containerd, &image).await?;
            Ok::<_, CallError>((image, Arc::new(tree)))
        };
        let read: Vec<_> =
            stream::iter(unread.0).map(walk).buffer_unordered(CONCURRENCY).try_collect().await?;
        for (image, tree) in read {
            survey.inventory.learn(image.clone(), Arc::new(tree.content.clone()));
            survey.trees.insert(image, tree);
        }
        Ok(())
    }
}
