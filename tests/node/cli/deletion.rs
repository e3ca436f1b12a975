//! `secateur delete`.

use super::*;
use crate::bed::both;

both!(
    a_name_is_deleted_and_told_as_json,
    a_name_is_deleted_and_told_as_yaml_and_as_a_table,
    one_bad_reference_does_not_stop_the_others,
    a_conflict_names_its_holder_and_the_remedy,
    a_prefix_can_be_ambiguous,
    a_dry_run_leaves_the_store_as_it_was,
    a_pattern_is_deleted_and_what_is_protected_stays,
);

/// Everything that a dry run must leave alone.
async fn store(node: &Node) -> impl PartialEq + std::fmt::Debug {
    let leases: Vec<String> = node.leases().await.into_keys().collect();
    let content: BTreeMap<Digest, u64> =
        node.content().await.into_iter().map(|(digest, blob)| (digest, blob.size)).collect();
    (node.records().await, content, node.snapshots().await, leases)
}

async fn a_name_is_deleted_and_told_as_json(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let answer = call(&node, &["delete", "app:v1", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let reclaimed = document["results"][0]["reclaimedBytes"].as_u64().unwrap();
    let expected = json!({"results": [{
        "image": "app:v1",
        "outcome": "Deleted",
        "records": [{"untagged": "app:v1"}, {"deleted": app.target}],
        "conflicts": [],
        "reclaimedBytes": reclaimed,
    }]});
    assert_eq!(document, expected);
    assert!(reclaimed > 0);
    assert!(is_gone(&node, &app).await);
    assert!(node.leases().await.is_empty(), "what was reported is acknowledged");
}

async fn a_name_is_deleted_and_told_as_yaml_and_as_a_table(version: Version) {
    let node = Node::start(version).await;
    let one = node.import(&Image::new(APP).layer("one")).await;
    let two = node.import(&Image::new("docker.io/library/app:v2").layer("two")).await;

    let answer = call(&node, &["-o", "yaml", "delete", "app:v1"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    assert_eq!(answer.yaml()["results"][0]["records"][1]["deleted"], json!(one.target));

    let answer = call(&node, &["delete", &two.target.hex()[..8]]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let lines: Vec<_> = answer.stdout.lines().collect();
    let words: Vec<_> = lines[1].split_whitespace().collect();
    assert!(lines[0].starts_with("IMAGE") && lines[0].ends_with("WHAT HAPPENED"), "{lines:?}");
    assert_eq!(
        (words[0], words[1], &words[3..]),
        (&two.target.hex()[..8], "Deleted", &["untagged", "app:v2"][..])
    );
    assert_eq!(lines[2].trim(), format!("deleted {}", &two.target.hex()[..12]));
    assert!(is_gone(&node, &two).await);
}

async fn one_bad_reference_does_not_stop_the_others(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let answer = call(&node, &["delete", "App:v1", "nosuch", "app:v1", "-o", "json"]).await;
    assert_eq!(answer.exit, 3);
    let document = answer.json();
    let told: Vec<_> = [0, 1, 2]
        .map(|index| &document["results"][index])
        .iter()
        .map(|result| [&result["image"], &result["outcome"], &result["message"]].map(Value::clone))
        .collect();
    let invalid = "not a valid image reference: repository name must be lowercase";
    let expected = [
        [json!("App:v1"), json!("Failed"), json!(invalid)],
        [json!("nosuch"), json!("Absent"), json!("No such image: nosuch:latest")],
        [json!("app:v1"), json!("Deleted"), json!(null)],
    ];
    assert_eq!(told, expected);
    assert!(is_gone(&node, &app).await);

    let answer = call(&node, &["delete", "App:v1"]).await;
    assert_eq!((answer.exit, answer.stderr), (2, format!("error: App:v1: {invalid}\n")));
    let answer = call(&node, &["delete", "nosuch"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (3, "error: No such image: nosuch:latest\n"));
    let answer = call(&node, &["delete"]).await;
    assert_eq!(answer.exit, 2);
    assert!(answer.stderr.contains("Usage: secateur delete"), "{}", answer.stderr);
}

async fn a_conflict_names_its_holder_and_the_remedy(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart-7d9").await;
    let id = node.container(&pod, "cart", APP, State::Running).await;
    node.plain_container("plain", APP, State::Stopped).await;

    let answer = call(&node, &["delete", &app.target, "-o", "json"]).await;
    assert_eq!(answer.exit, 4);
    let result = &answer.json()["results"][0];
    assert_eq!(result["outcome"], "Conflict");
    let subject = &app.target.hex()[..12];
    let expected = json!([
        {
            "image": app.target, "kind": "RunningContainer", "forcible": false,
            "namespace": "shop", "pod": "cart-7d9", "container": "cart",
            "message": format!(
                "conflict: unable to delete {subject} (cannot be forced) - image is being used by running container {}",
                &id[..12]
            ),
        },
        {
            "image": app.target, "kind": "StoppedContainer", "forcible": true, "container": "plain",
            "message": format!(
                "conflict: unable to delete {subject} (must be forced) - image is being used by stopped container plain"
            ),
        },
    ]);
    assert_eq!(result["conflicts"], expected);

    let answer = call(&node, &["delete", "app:v1"]).await;
    assert_eq!(answer.exit, 4);
    assert!(answer.stdout.contains("used by running container shop/cart-7d9/cart"), "{}", answer.stdout);
    let expected = format!(
        "error: conflict: unable to delete app:v1 (must be forced) - container {} is using its referenced image {subject} \
         (shop/cart-7d9/cart): remove the container first, or take only the name away with --force\n",
        &id[..12]
    );
    assert!(answer.stderr.starts_with(&expected), "{}", answer.stderr);
    assert!(node.record(APP).await.is_some());

    let answer = call(&node, &["delete", "--force", "-v", "app:v1"]).await;
    assert_eq!(answer.exit, 0);
    let reason = format!("app:v1: only the name goes: container {} uses the image\n", &id[..12]);
    assert_eq!(answer.stderr, reason);
    assert!(answer.stdout.contains("Untagged"), "{}", answer.stdout);
    assert!(node.record(APP).await.is_none());
}

async fn a_prefix_can_be_ambiguous(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let prefix = &app.target.hex()[..6];
    // The name is a prefix of the other image's ID.
    let named = format!("docker.io/library/{prefix}:latest");
    let other = node.import(&Image::new(named).layer("two")).await;
    let answer = call(&node, &["delete", prefix]).await;
    assert_eq!(answer.exit, 1);
    let expected = format!("error: ambiguous reference {prefix}: matches ");
    assert!(answer.stderr.starts_with(&expected), "{}", answer.stderr);
    for known in [&*app.target, "(app:v1)", &*other.target] {
        assert!(answer.stderr.contains(known), "{}", answer.stderr);
    }
    assert!(node.record(APP).await.is_some());
}

async fn a_dry_run_leaves_the_store_as_it_was(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "docker.io/library/app:v2").await;
    let before = store(&node).await;
    let dry = call(&node, &["delete", "--dry-run", "-v", "app:v1", "-o", "json"]).await;
    assert_eq!(store(&node).await, before);
    assert_eq!((dry.exit, &*dry.stderr), (0, "app:v1: only the name goes: the image is also app:v2\n"));
    let prune = call(&node, &["prune", "--unused", "--dry-run"]).await;
    assert_eq!(store(&node).await, before);
    assert_eq!((prune.exit, &*prune.stderr), (0, "dry run: nothing was deleted\n"));
    assert!(prune.stdout.contains("app:v1") && prune.stdout.contains("app:v2"), "{}", prune.stdout);
    let object = apply(&node, &deletion(json!({"images": ["app:v1"], "dryRun": true})), &[]).await;
    assert_eq!(store(&node).await, before);
    assert_eq!(object.yaml()["status"]["records"], json!([{"untagged": "app:v1", "nodes": 1}]));
    let asked = apply(&node, &deletion(json!({"images": ["app:v1"]})), &["--dry-run"]).await;
    assert_eq!(store(&node).await, before);
    assert_eq!(asked.yaml()["status"]["records"], object.yaml()["status"]["records"]);

    let real = call(&node, &["delete", "app:v1", "-o", "json"]).await;
    assert_eq!(real.json(), dry.json(), "a dry run says what the run does");
}

async fn a_pattern_is_deleted_and_what_is_protected_stays(version: Version) {
    let node = Node::start(version).await;
    let names = ["v1", "v2"].map(|tag| format!("ghcr.io/acme/team/api:{tag}"));
    for name in &names {
        node.import(&Image::new(name).layer(name)).await;
    }
    let answer =
        call(&node, &["delete", "ghcr.io/acme/**", "--protect", "ghcr.io/**:v2", "-o", "json"]).await;
    assert_eq!(answer.exit, 4);
    let result = &answer.json()["results"][0];
    assert_eq!(result["records"][0], json!({"untagged": names[0]}));
    assert_eq!(result["conflicts"][0]["kind"], "Protected");
    let records = node.records().await;
    assert_eq!(names.map(|name| records.contains_key(&name)), [false, true]);
}
