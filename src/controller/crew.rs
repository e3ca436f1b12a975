//! Work at the API server that is done a few at a time, while the rest waits for its turn.

use std::collections::VecDeque;

use futures::future::BoxFuture;
use tokio::task::JoinSet;

/// Those who do it.
pub(super) struct Crew<Work, Done> {
    most: usize,
    work: Box<dyn Fn(Work) -> BoxFuture<'static, Done> + Send>,
    waiting: VecDeque<Work>,
    tasks: JoinSet<Done>,
}

impl<Work, Done: Send + 'static> Crew<Work, Done> {
    /// Of at most so many, with nothing to do yet.
    pub(super) fn new(most: usize, work: impl Fn(Work) -> BoxFuture<'static, Done> + Send + 'static) -> Self {
        Self { most, work: Box::new(work), waiting: VecDeque::new(), tasks: JoinSet::new() }
    }

    /// Has something done.
    pub(super) fn give(&mut self, work: Work) {
        self.waiting.push_back(work);
        self.begin();
    }

    fn begin(&mut self) {
        while self.tasks.len() < self.most
            && let Some(work) = self.waiting.pop_front()
        {
            self.tasks.spawn((self.work)(work));
        }
    }

    /// How much waits for its turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What came of the next that is done; `None` where nothing is being done.
    pub(super) async fn done(&mut self) -> Option<Done> {
        loop {
            let ended = self.tasks.join_next().await?;
            self.begin();
            if let Ok(done) = ended {
                return Some(done);
            }
        }
    }

    /// Whether nothing is being done.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Stops whatever is being done, and forgets what waits.
    pub(super) async fn clear(&mut self) {
        self.waiting.clear();
        self.tasks.shutdown().await;
    }
}
