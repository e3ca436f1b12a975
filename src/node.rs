//! One node: containerd and the CRI over gRPC.
