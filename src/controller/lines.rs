//! The connections that watches share. A connection of its own for each would be most of what a controller with many deletions
//! under way holds, and the API server for it.

use std::sync::Arc;

use kube::Client;

/// The watches on one connection. An API server allows 100 requests at a time on each, if it is told nothing else.
pub(super) const FULL: usize = 50;

/// As many connections as there must be.
pub(super) struct Lines {
    connect: Box<dyn Fn() -> Client + Send>,
    open: Vec<Line>,
}

/// A place on one of them, for as long as this is kept.
#[derive(Clone)]
pub(super) struct Line(Arc<Client>);

impl Lines {
    /// None yet. Each is a client that `connect` makes.
    pub(super) fn new(connect: impl Fn() -> Client + Send + 'static) -> Self {
        Self { connect: Box::new(connect), open: Vec::new() }
    }

    /// A place on a connection. Those that nobody has a place on any more are closed.
    pub(super) fn line(&mut self) -> Line {
        self.open.retain(|line| line.places() > 0);
        if let Some(line) = self.open.iter().find(|line| line.places() < FULL) {
            return line.clone();
        }
        let line = Line(Arc::new((self.connect)()));
        self.open.push(line.clone());
        line
    }
}

impl Line {
    /// The client on this connection.
    pub(super) fn client(&self) -> Client {
        Client::clone(&self.0)
    }

    /// How many others there are of this one, which is that of [`Lines`].
    fn places(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use kube::Config;

    use super::*;

    #[tokio::test]
    async fn there_are_as_many_connections_as_the_watches_take() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let config = Config::new("http://localhost".parse().unwrap());
        let mut lines = Lines::new(move || {
            counted.fetch_add(1, Relaxed);
            Client::try_from(config.clone()).unwrap()
        });
        let mut watches: Vec<_> = (0..=2 * FULL).map(|_| lines.line()).collect();
        assert_eq!((made.load(Relaxed), lines.open.len()), (3, 3));

        watches.drain(..FULL);
        watches.push(lines.line());
        assert_eq!(
            (made.load(Relaxed), lines.open.len()),
            (3, 2),
            "the first is closed, and the last has places"
        );
        watches.extend((0..FULL).map(|_| lines.line()));
        assert_eq!((made.load(Relaxed), lines.open.len()), (4, 3));
    }
}
