//! The bed itself is what the other tests believe it is.

mod breakage;
mod charts;
mod definitions;
mod life;
mod pods;
mod refusals;

use crate::suite::Test;

pub(crate) fn tests() -> Vec<Test> {
    [
        life::tests(),
        pods::tests(),
        definitions::tests(),
        refusals::tests(),
        charts::tests(),
        breakage::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
