//! The custom resources of `secateur.dev` and the pure functions on them.
