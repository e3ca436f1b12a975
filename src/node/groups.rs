//! Which plans can be carried out at the same time. No I/O.

use std::collections::{BTreeSet, HashMap};

use crate::image::{ImageId, Plan};

/// The plans by what they touch: those of one group share an image, those of two groups none.
pub(super) fn groups<'a>(plans: impl Iterator<Item = &'a Plan>) -> Vec<Vec<usize>> {
    let mut group_of: HashMap<&ImageId, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, plan) in plans.enumerate() {
        let touched: BTreeSet<&ImageId> = plan.touched().collect();
        let mut joined: BTreeSet<usize> =
            touched.iter().filter_map(|image| group_of.get(*image)).copied().collect();
        let group = joined.pop_first().unwrap_or_else(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        for other in joined {
            let members = std::mem::take(&mut groups[other]);
            groups[group].extend(members);
            group_of.values_mut().filter(|of| **of == other).for_each(|of| *of = group);
        }
        groups[group].push(index);
        group_of.extend(touched.into_iter().map(|image| (image, group)));
    }
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups
}
