//! `cluster demo DIRECTORY`: the main job, on a cluster that stays.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::bed::Image;
use crate::cluster::{Cluster, Pod, kubernetes};

/// The image that a pod uses on one node.
const USED: &str = "docker.io/library/app:v1";
/// The image that nobody uses.
const IDLE: &str = "docker.io/library/app:v2";

const DELETION: &str = "\
apiVersion: secateur.dev/v1alpha1
kind: ImageDeletion
metadata:
  name: drop-app
spec:
  images: [\"app:v1\", \"app:v2\"]
";

/// Inside: the chart, two images on each node, and a pod that uses one of them.
pub(crate) async fn prepare(cluster: &Cluster) {
    cluster.with_secateur().await;
    for node in cluster.nodes() {
        for name in [USED, IDLE] {
            node.import(&Image::new(name).layer(name)).await;
        }
    }
    cluster.namespace("shop").await;
    cluster.run_pod(&Pod::new("shop", "cart", USED, cluster.node_b()));
}

/// Outside: what a person types, and what comes back.
pub(crate) fn show(kubeconfig: &Path) -> ExitCode {
    let person = Person { kubeconfig };
    println!("A Kubernetes of two nodes runs here, with containerd 1.6 and 2.x, and Secateur's chart in it.");
    person.types(&["get", "nodes", "-o", "wide"]);
    println!("\nBoth nodes have app:v1 and app:v2. A pod on node-b uses app:v1:");
    person.types(&["get", "pods", "-n", "shop", "-o", "wide"]);
    println!("\nNow both images are to go.");
    person.applies("drop-app", DELETION);
    person.types(&["wait", "--for=condition=Complete", "imagedeletion/drop-app"]);
    person.types(&["get", "imagedeletions"]);
    person.types(&["describe", "imagedeletion", "drop-app"]);
    println!(
        "\napp:v2 is gone from both nodes, app:v1 from node-a, and the pod on node-b has kept what it uses."
    );
    println!("\nThe cluster stays. What to type next:\n");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!("  export PATH={}:$PATH", kubernetes().display());
    println!("  kubectl get imagedeletionreports -o wide      # what each node did");
    println!("  kubectl delete pod cart -n shop");
    println!("  kubectl apply -f docs/examples/one-tag.yaml   # docs/examples has one for each use");
    println!("  make demo-down                                # remove all of it");
    ExitCode::SUCCESS
}

struct Person<'a> {
    kubeconfig: &'a Path,
}

impl Person<'_> {
    fn types(&self, arguments: &[&str]) {
        println!("\n$ kubectl {}", arguments.join(" "));
        let mut command = Command::new(kubernetes().join("kubectl"));
        let status =
            command.args(arguments).env("KUBECONFIG", self.kubeconfig).status().expect("kubectl starts");
        assert!(status.success(), "kubectl ended with {status}");
    }

    /// Shows a manifest and applies it.
    fn applies(&self, name: &str, text: &str) {
        let file = self.kubeconfig.with_file_name(format!("{name}.yaml"));
        std::fs::write(&file, text).expect("the directory can be written");
        println!("\n$ cat {}\n{text}", file.display());
        self.types(&["apply", "-f", &file.display().to_string()]);
    }
}
