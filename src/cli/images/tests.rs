use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::image::{Evidence, Owner};
use crate::node::Size;

fn container(id: &str, state: State, owner: Option<[&str; 3]>) -> Arc<Container> {
    Arc::new(Container {
        id: id.into(),
        state,
        owner: owner.map(|[namespace, pod, container]| Owner {
            namespace: namespace.into(),
            pod: pod.into(),
            container: Some(container.into()),
        }),
        image: Evidence::Name("app".into()),
        volumes: Vec::new(),
    })
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn listed() -> Vec<Listed> {
    let image = |digits: &str| format!("sha256:{}", digits.repeat(32)).parse().unwrap();
    let app = Listed {
        image: image("a1"),
        configs: vec![format!("sha256:{}", "c0".repeat(32))],
        names: vec![
            "ghcr.io/acme/shop/cart:1.2.3".into(),
            format!("ghcr.io/acme/shop/cart@sha256:{}", "a1".repeat(32)),
        ],
        created: now() - SignedDuration::from_hours(75),
        size: Size { unique: 1_992_294, shared: 104_857_600 },
        pinned: true,
        dangling: false,
        containers: vec![
            container("1", State::Running, Some(["shop", "cart-7d9c5b6f4-x2x8k", "cart"])),
            container("0d3f9e3c1a2b4c5d", State::Stopped, None),
        ],
    };
    let dangling = Listed {
        image: image("b2"),
        names: Vec::new(),
        created: now() - SignedDuration::from_mins(5),
        size: Size::default(),
        pinned: false,
        dangling: true,
        containers: Vec::new(),
        ..app.clone()
    };
    vec![app, dangling]
}

fn screen(width: Option<u16>) -> Screen {
    let colours = false;
    Screen { width, colours }
}

#[test]
fn images_read_well_at_80_columns() {
    let expected = "\
IMAGE                 ID            UNIQUE   SHARED  AGE  USED BY
ghcr.io/acme/shop/ca  a1a1a1a1a1a1   1.9Mi  100.0Mi   3d  shop/cart-7d9c5b6f4-
rt:1.2.3                                                  x2x8k/cart
ghcr.io/acme/shop/ca                                      0d3f9e3c1a2b
rt@a1a1a1a1a1a1                                           (stopped)
                                                          (pinned)
(dangling)            b2b2b2b2b2b2       0        0   5m
";
    assert_eq!(table(&listed(), now(), screen(Some(80))), expected);
}

#[test]
fn images_are_not_wrapped_without_a_terminal() {
    let expected = "\
IMAGE                                ID            UNIQUE   SHARED  AGE  USED BY
ghcr.io/acme/shop/cart:1.2.3         a1a1a1a1a1a1   1.9Mi  100.0Mi   3d  shop/cart-7d9c5b6f4-x2x8k/cart
ghcr.io/acme/shop/cart@a1a1a1a1a1a1                                      0d3f9e3c1a2b (stopped)
                                                                         (pinned)
(dangling)                           b2b2b2b2b2b2       0        0   5m
";
    assert_eq!(table(&listed(), now(), screen(None)), expected);
}

#[test]
fn an_age_has_one_unit() {
    let rows = [
        (-3, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7_199, "119m"),
        (7_200, "2h"),
        (172_799, "47h"),
        (172_800, "2d"),
    ];
    for (seconds, expected) in rows {
        assert_eq!(age(SignedDuration::from_secs(seconds)), expected, "{seconds}");
    }
}

#[test]
fn the_document_has_bytes_and_whole_ids() {
    let image = json!(Image::from(&listed()[0]));
    let written = json!({
        "id": format!("sha256:{}", "a1".repeat(32)),
        "configs": [format!("sha256:{}", "c0".repeat(32))],
        "names": ["ghcr.io/acme/shop/cart:1.2.3", format!("ghcr.io/acme/shop/cart@sha256:{}", "a1".repeat(32))],
        "created": "2023-11-11T19:13:20Z",
        "uniqueBytes": 1_992_294,
        "sharedBytes": 104_857_600,
        "pinned": true,
        "dangling": false,
        "usedBy": [
            {"id": "1", "running": true, "namespace": "shop", "pod": "cart-7d9c5b6f4-x2x8k", "container": "cart"},
            {"id": "0d3f9e3c1a2b4c5d", "running": false},
        ],
    });
    assert_eq!(image, written);
}
