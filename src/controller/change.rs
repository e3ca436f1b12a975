//! What a watch tells of the things it watches.

/// A change of a set of things.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change<T, All = Vec<T>> {
    /// These are all; what was known before and is not among them is gone.
    Listed(All),
    /// This one is new or has changed.
    Applied(T),
    /// The one with this key is gone.
    Gone(String),
}
