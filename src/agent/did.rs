//! What was done on the node and has not been counted yet.

use crate::api::result::ImageResult;
use crate::conversion::image_result;
use crate::node::EntryResult;

/// What one or more operations did.
#[derive(Debug, Default)]
pub struct Did {
    /// Entry by entry.
    pub results: Vec<ImageResult>,
    /// How many images were put back.
    pub put_back: usize,
}

impl Did {
    /// What an operation did.
    pub fn of(results: &[EntryResult]) -> Self {
        let put_back = results.iter().map(|result| result.put_back).sum();
        Self { results: results.iter().map(image_result).collect(), put_back }
    }

    /// Adds what another did.
    pub fn add(&mut self, other: Self) {
        self.results.extend(other.results);
        self.put_back += other.put_back;
    }
}
