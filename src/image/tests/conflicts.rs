//! The table of conflicts: each of them, all of them, and what forcing changes.

use super::fixture::*;
use crate::image::*;

const RUNNING: &str = "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is being used by running container 0d3f0d3f0d3f";
const STOPPED: &str = "conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image is being used by stopped container e1e1e1e1e1e1";
const REFERENCES: &str =
    "conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image is referenced in multiple repositories";
const PINNED: &str = "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is pinned";
const PROTECTED: &str =
    "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is protected by ghcr.io/acme/**";
const PENDING: &str =
    "conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image is needed by pod shop/cart";

fn app() -> Node {
    Node::default().image("a1", &["app:v1", "identity"])
}

fn run(node: Node) -> Node {
    node.container(running("0d3f", by_config("a1")).of_pod("shop/web", Some("web")))
}

fn stop(node: Node) -> Node {
    node.container(stopped("e1", by_config("a1")))
}

/// Deletes the image by its ID and gives one line for each conflict.
fn conflicts(node: &Node) -> Vec<String> {
    match node.verdict(digest("a1").as_str()) {
        Ok(_) => Vec::new(),
        Err(Refusal::Conflict(conflicts)) => conflicts.iter().map(ToString::to_string).collect(),
        Err(refusal) => panic!("{refusal}"),
    }
}

#[test]
fn each_conflict_has_its_hardness_and_its_words() {
    let protected = || Node::default().image("a1", &["ghcr.io/acme/app:v1"]).protect("ghcr.io/acme/**");
    let rows: &[(Node, &[&str], &[&str])] = &[
        (app(), &[], &[]),
        (run(app()), &[RUNNING], &[RUNNING]),
        (stop(app()), &[STOPPED], &[]),
        (app().image("a1", &["api:v1"]), &[REFERENCES], &[]),
        (app().pinned("a1", &["app@"]), &[PINNED], &[PINNED]),
        (Node::default().image("a1", &["app:v1"]).pinned("a1", &["identity"]), &[PINNED], &[PINNED]),
        (protected(), &[PROTECTED], &[PROTECTED]),
        (app().pod("shop/cart", &["app:v1"]), &[PENDING], &[]),
        // All that apply are reported, and once each.
        (run(stop(app())), &[RUNNING, STOPPED], &[RUNNING]),
        (run(stop(app())).image("a1", &["api:v1"]), &[RUNNING, STOPPED, REFERENCES], &[RUNNING]),
        (
            run(stop(protected()))
                .pinned("a1", &["app:v1", "app@", "identity"])
                .pod("shop/cart", &["app:v1", "app@"]),
            &[RUNNING, STOPPED, REFERENCES, PINNED, PROTECTED, PENDING],
            &[RUNNING, PINNED, PROTECTED],
        ),
    ];
    for (node, unforced, forced) in rows {
        assert_eq!(conflicts(node), *unforced);
        assert_eq!(conflicts(&node.clone().force()), *forced, "forced");
    }
}

/// What forcing reaches of what has come since depends on what was meant.
#[test]
fn a_container_that_came_since_keeps_an_image_whose_last_name_was_meant() {
    let rows: &[(Node, usize, usize)] = &[
        (app(), 0, 0),
        (stop(app()), 0, 1),
        (run(app()), 1, 1),
        (run(stop(app())), 1, 2),
        (app().pod("shop/cart", &["app:v1"]), 0, 0),
    ];
    let forced = Rules { force: true, ..Rules::default() };
    for (node, by_id, by_name) in rows {
        let (inventory, image) = (node.inventory(), image("a1"));
        let found = |meant| conflict::since(&inventory, &image, meant, &forced).unwrap().len();
        assert_eq!((found(Meant::Image), found(Meant::Name)), (*by_id, *by_name));
    }
    for (query, meant) in [("app:v1", Meant::Name), (digest("a1").as_str(), Meant::Image)] {
        assert_eq!(app().force().verdict(query).unwrap().meant, meant, "{query}");
    }
}

#[test]
fn a_conflict_knows_who_holds_the_image() {
    let Err(Refusal::Conflict(found)) = run(app()).pod("shop/cart", &["app:v1"]).verdict("a1a1") else {
        panic!();
    };
    let Cause::RunningContainer(container) = &found[0].cause else { panic!("{found:?}") };
    assert_eq!(container.owner.as_ref().unwrap().to_string(), "shop/web/web");
    assert_eq!(found[0].cause.hardness(), Hardness::Hard);
    let Cause::PendingPod(pod) = &found[1].cause else { panic!("{found:?}") };
    assert_eq!((&*pod.namespace, &*pod.name), ("shop", "cart"));
    assert_eq!(found[1].cause.hardness(), Hardness::Soft);
    assert!(found.iter().all(|conflict| conflict.image == image("a1")));
}

#[test]
fn the_last_name_of_an_image_in_use_has_every_conflict() {
    let node = run(Node::default().pinned("a1", &["app:v1"])).protect("app").pod("shop/cart", &["app:v1"]);
    assert_eq!(
        node.outcome("app:v1"),
        "conflict: unable to delete app:v1 (must be forced) - container 0d3f0d3f0d3f is using its referenced image a1a1a1a1a1a1; \
         conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is pinned; \
         conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is protected by app; \
         conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image is needed by pod shop/cart"
    );
    assert_eq!(
        node.force().outcome("app:v1"),
        "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is pinned; \
         conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is protected by app"
    );
}

#[test]
fn pinned_and_protected_names_are_not_untagged_either() {
    let two = || Node::default().image("a1", &["app:v1", "app:v2"]);
    check([
        ("pinned", Node::default().pinned("a1", &["app:v1", "app:v2"]).force(), "app:v1".into(), PINNED),
        (
            "another name is pinned",
            Node::default().image("a1", &["app:v1"]).pinned("a1", &["app:v2"]),
            "app:v1".into(),
            "-app:v1",
        ),
        ("only the identity is pinned", two().pinned("a1", &["identity"]), "app:v1".into(), "-app:v1"),
        (
            "protected",
            two().protect("app:v1").force(),
            "app:v1".into(),
            "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is protected by app:v1",
        ),
        ("another name is protected", two().protect("app:v1"), "app:v2".into(), "-app:v2"),
        (
            "the image has a protected name",
            two().protect("app:v1").force(),
            "a1a1".into(),
            "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is protected by app:v1",
        ),
        (
            "the first rule that matches is told, one for each name",
            Node::default()
                .image("a1", &["app:v1", "x.io/a:1"])
                .protect("app")
                .protect("x.io/**")
                .protect("**")
                .force(),
            "a1a1".into(),
            "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is protected by app; \
             conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is protected by x.io/**",
        ),
        (
            "a registry with a port is that registry only",
            Node::default()
                .image("a1", &["localhost:5000/app:v1"])
                .protect("localhost/**")
                .protect("localhost:5001/**"),
            "localhost:5000/app:v1".into(),
            "-localhost:5000/app:v1 !a1",
        ),
    ]);
}

#[test]
fn a_pod_needs_its_image_until_it_has_a_container_of_it() {
    let pod = || app().pod("shop/cart", &["docker.io/library/app:v1"]);
    let of = |pod, name| running("0d3f", by_config("b2")).of_pod(pod, name);
    let rows = [
        ("no container", pod(), vec![PENDING]),
        ("its sandbox alone", pod().container(of("shop/cart", None)), vec![PENDING]),
        ("its container of another image", pod().container(of("shop/cart", Some("main"))), vec![PENDING]),
        (
            "its sandbox of the same image",
            pod().container(running("0d3f", by_config("a1")).of_pod("shop/cart", None)),
            vec![RUNNING, PENDING],
        ),
        (
            "its container",
            pod().container(running("0d3f", by_config("a1")).of_pod("shop/cart", Some("main"))),
            vec![RUNNING],
        ),
        (
            "its container that has stopped",
            pod().container(stopped("e1", by_config("a1")).of_pod("shop/cart", Some("main"))),
            vec![STOPPED],
        ),
        (
            "the container of a pod of the same name elsewhere",
            pod().container(running("0d3f", by_config("a1")).of_pod("test/cart", Some("main"))),
            vec![RUNNING, PENDING],
        ),
        ("a pod of another image", app().pod("shop/cart", &["app:v2", "api"]), vec![]),
        (
            "a pod that names the target",
            app().pod("shop/cart", &[&format!("x.io/y@{}", digest("a1"))]),
            vec![PENDING],
        ),
        ("a pod that names the config", app().pod("shop/cart", &[config("a1").as_str()]), vec![PENDING]),
        ("a pod without a valid image", app().pod("shop/cart", &["", "NOT VALID"]), vec![]),
    ];
    for (case, node, expected) in rows {
        assert_eq!(conflicts(&node), expected, "{case}");
    }
}

#[test]
fn a_pod_that_waits_blocks_a_deletion_by_name_softly() {
    let node = Node::default().image("a1", &["app:latest"]).pod("shop/cart", &["app"]);
    assert_eq!(node.outcome("app"), PENDING);
    assert_eq!(node.force().outcome("app"), "-app:latest !a1");
}
