//! The definitions of `crds/` on a real API server.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use secateur::api::deletion::{ImageDeletion, ImageDeletionSpec};
use secateur::api::report::ImageDeletionReport;

use crate::bed::eventually;
use crate::cluster::Cluster;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: the_definitions_are_accepted, reports_are_selected_by_node_and_deletion]
}

async fn the_definitions_are_accepted(cluster: &Cluster) {
    cluster.with_definitions().await;
    // What the API server finds fault with in a schema, and accepts.
    for name in ["imagedeletions.secateur.dev", "imagedeletionreports.secateur.dev"] {
        let flaws = r#"jsonpath={.status.conditions[?(@.type=="NonStructuralSchema")].message}"#;
        assert_eq!(cluster.kubectl(["get", "crd", name, "-o", flaws]), "");
    }
    // What a definition is for is published some time after it is established.
    let explained = eventually("the API's description to have the definition", async || {
        let output = cluster.kubectl_command(&["explain", "imagedeletion.spec"]).output().ok()?;
        String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
    })
    .await;
    for field in ["images", "force", "prune", "dryRun", "nodeSelector", "onConflict", "activeDeadlineSeconds"]
    {
        assert!(explained.lines().any(|line| line.trim_start().starts_with(field)), "{field}: {explained}");
    }
    assert_eq!(cluster.kubectl(["get", "imgdel", "none", "--ignore-not-found"]), "");
}

async fn reports_are_selected_by_node_and_deletion(cluster: &Cluster) {
    let cluster = cluster.with_definitions().await;
    let reports: Api<ImageDeletionReport> = Api::all(cluster.client());
    for name in ["smoke-one", "smoke-two"] {
        let mut deletion = ImageDeletion::new(name, ImageDeletionSpec::of(["smoke/none:v1"]));
        deletion.metadata.uid = Some(name.to_owned());
        for node in ["node-a", "node-b"] {
            let mut report =
                ImageDeletionReport::of(&deletion, node, Vec::new(), Time(Timestamp::now()), None);
            // Without an owner: an owner that is not there would have it collected.
            report.metadata.owner_references = None;
            reports.create(&Default::default(), &report).await.unwrap();
        }
    }
    let select = |selector: &str| {
        let names = "jsonpath={range .items[*]}{.imageDeletion}/{.nodeName} {end}";
        cluster.kubectl(["get", "imagedeletionreports", "--field-selector", selector, "-o", names])
    };
    assert_eq!(select("imageDeletion=smoke-one"), "smoke-one/node-a smoke-one/node-b ");
    assert_eq!(select("nodeName=node-b,imageDeletion=smoke-two"), "smoke-two/node-b ");
    let of_node = select("nodeName=node-a");
    assert!(of_node.contains("smoke-one/node-a") && !of_node.contains("node-b"), "{of_node}");
}
