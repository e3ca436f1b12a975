//! The bed itself is what the other tests believe it is.

mod containers;
mod images;
mod life;

const APP: &str = "docker.io/library/app:v1";
const PAUSE: &str = "registry.k8s.io/pause:bed";
