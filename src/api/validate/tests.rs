//! Tables of what is refused, in the words that a kube-apiserver 1.36 uses.

use super::*;
use crate::api::deletion::{ImageDeletionSpec, OnConflict};

fn parse_spec(spec: Value) -> Result<ImageDeletion, InvalidDeletion> {
    parse(&object(json!({"name": "drop"}), spec).to_string())
}

fn object(metadata: Value, spec: Value) -> Value {
    json!({"apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": metadata, "spec": spec})
}

#[track_caller]
fn assert_refused(spec: Value, words: &[&str]) {
    let error = parse_spec(spec.clone()).unwrap_err().to_string();
    assert_eq!(error.lines().collect::<Vec<_>>(), words, "{spec}");
}

const NOT_CHECKED: &str = "<nil>: Invalid value: null: some validation rules were not checked because the object was \
                           invalid; correct the existing errors to complete validation";

#[test]
fn entries_that_are_names_digests_ids_or_patterns_pass() {
    let sha256 = "a".repeat(64);
    let entries = [
        "app",
        "app:v1",
        "ghcr.io/acme/api:V2",
        "GHCR.io/acme/api",
        "Foo/bar",
        "localhost:5000/app",
        "[::1]:5000/app:v1",
        "a__b",
        "a---b",
        "a_b.c/x",
        "276aff71fc50",
        "beef",
        "sha256:beef",
        &format!("sha256:{sha256}"),
        &sha256,
        &format!("ghcr.io/acme/api:v1@sha256:{sha256}"),
        &format!("app@sha512:{}", "b".repeat(128)),
        &format!("moby-dangling@sha256:{sha256}"),
        &format!("app:{}", "t".repeat(128)),
        &format!("ghcr.io/{}", "x".repeat(255)),
        &"x".repeat(247),
        "ghcr.io/acme/**:1.2.*",
        "**",
        "*",
        "app:v?",
        "{app,api}:{1,2}.*",
        "[::1]:5000/**",
        "app:V*",
        "registry:5000/acme/*",
    ];
    let deletion = parse_spec(json!({"images": entries})).unwrap();
    assert_eq!(deletion.spec, ImageDeletionSpec::of(entries));
}

#[test]
fn a_bad_entry_gets_one_message_that_says_what_to_write() {
    const REFERENCE: &str = "not a valid image reference: write [registry[:port]/]repository[:tag][@digest] such as \
                             ghcr.io/acme/api:2, a digest, or an ID prefix of at least 4 digits";
    const SPACE: &str = "an entry must not contain white space or characters outside ASCII: write each image as an \
                         entry of its own, such as app:v1";
    const TAG: &str = "not a valid tag: write 1 to 128 letters, digits, underscores, dots and dashes, the first \
                       neither a dot nor a dash";
    const DIGEST: &str = "not a valid digest: write sha256: and 64 lowercase hexadecimal digits (or sha384: and 96, \
                          or sha512: and 128)";
    const PATTERN: &str = "not a valid pattern: write an image name with * (within one path component or tag), ** \
                           (across slashes), ? or {a,b}, such as ghcr.io/acme/**:1.2.*";
    const BRACES: &str = "every { of a pattern needs its own }: write {a,b}, without another { in it";
    const SLASHES: &str = "a pattern must not begin or end with a slash, nor have two slashes or three stars \
                           together: write ** to match across slashes";
    const SEPARATORS: &str =
        "`:` and `@` cannot stand inside the braces of a pattern: write an entry for each";
    const STARS: &str = "`**` of a pattern stands for whole path components: write it between slashes, as in \
                         ghcr.io/acme/**, and * within a component";
    const LENGTH: &str =
        "repository name must not be longer than 255 characters, counting library/ where it has no slash";
    let long_official_name = "x".repeat(248);
    let (long_name, long_tag) = (format!("ghcr.io/{}", "x".repeat(256)), format!("app:{}", "t".repeat(129)));
    let uppercase_digest = format!("app@sha256:{}", "A".repeat(64));
    let cases = [
        ("", "an entry must not be empty: write an image name such as app:v1, a digest, an ID or a pattern"),
        (" app", SPACE),
        ("app:v1 app:v2", SPACE),
        ("app\n", SPACE),
        ("caf\u{e9}", SPACE),
        ("https://ghcr.io/acme/api:2", "an image name has no scheme: write ghcr.io/acme/api:2"),
        ("docker://App*", "an image name has no scheme: write App*"),
        ("App:V1", "repository name must be lowercase: write app:V1"),
        ("ghcr.io/Acme/api:V2", "repository name must be lowercase: write ghcr.io/acme/api:V2"),
        ("localhost:5000/App", "repository name must be lowercase: write localhost:5000/app"),
        ("[::1]:5000/App:V1", "repository name must be lowercase: write [::1]:5000/app:V1"),
        ("ghcr.io/Acme/**:V*", "repository name must be lowercase: write ghcr.io/acme/**:V*"),
        ("-app", REFERENCE),
        ("a//b", REFERENCE),
        ("app/", REFERENCE),
        ("a___b", REFERENCE),
        ("a.-b", REFERENCE),
        ("[zz]/app", REFERENCE),
        (":v1", REFERENCE),
        ("app}", REFERENCE),
        (&long_name, LENGTH),
        (&long_official_name, LENGTH),
        ("app:", TAG),
        ("app:.v1", TAG),
        ("a:b/c", TAG),
        (&long_tag, TAG),
        ("app:-@sha256:abc", TAG),
        ("app@", DIGEST),
        ("app:v1@sha256:abc", DIGEST),
        ("app@md5:d41d8cd98f00b204e9800998ecf8427e", DIGEST),
        (&uppercase_digest, DIGEST),
        ("app:v!*", PATTERN),
        ("app[ab]*", PATTERN),
        ("{app", BRACES),
        ("{a,{b,c}}", BRACES),
        ("*}", BRACES),
        ("/app*", SLASHES),
        ("a//*", SLASHES),
        ("app/***", SLASHES),
        ("{app:v1,api:v2}", SEPARATORS),
        ("a**b", STARS),
        ("ghcr.io/**api", STARS),
        ("localhost:**/app", STARS),
        ("app:v**", STARS),
    ];
    for (entry, message) in cases {
        let line = format!("spec.images[1]: Invalid value: {}: {message}", json!(entry));
        assert_refused(json!({"images": ["good", entry]}), &[&line]);
    }
}

#[test]
fn only_the_deadline_and_the_ttl_may_change() {
    let before = json!({"images": ["app"]});
    let problems = |spec: Value| {
        let [old, new] =
            [&before, &spec].map(|spec| as_created(&schema(), object(json!({"name": "drop"}), spec.clone())));
        let changed = Validator::new().validate(&schema(), &new, Some(&old));
        changed.err().into_iter().flatten().map(|error| error.to_string()).collect::<Vec<_>>()
    };
    for (field, value) in [
        ("images", json!(["app", "api"])),
        ("force", json!(true)),
        ("prune", json!(false)),
        ("dryRun", json!(true)),
        ("nodeSelector", json!({"matchLabels": {"disk": "small"}})),
        ("onConflict", json!("Wait")),
    ] {
        let mut spec = before.clone();
        spec[field] = value;
        assert_eq!(
            problems(spec),
            [format!(
                "spec.{field}: what is deleted is immutable: create another ImageDeletion (only activeDeadlineSeconds \
                 and ttlSecondsAfterFinished may change)"
            )]
        );
    }
    let later = json!({"images": ["app"], "activeDeadlineSeconds": 7, "ttlSecondsAfterFinished": 0});
    assert_eq!(problems(later), [""; 0]);
}

#[test]
fn the_list_has_one_to_64_different_entries() {
    assert_refused(json!({}), &["spec.images: Required value", NOT_CHECKED]);
    assert_refused(json!({"images": null}), &["spec.images: Required value", NOT_CHECKED]);
    assert_refused(
        json!({"images": []}),
        &["spec.images: Invalid value: name at least one image, such as app:v1"],
    );
    let names = |count: usize| (0..count).map(|n| format!("app:v{n}")).collect::<Vec<_>>();
    assert!(parse_spec(json!({"images": names(64)})).is_ok());
    assert_refused(
        json!({"images": names(65)}),
        &["spec.images: Too many: 65: must have at most 64 items", NOT_CHECKED],
    );
    assert_refused(json!({"images": ["a", "b", "a", "a"]}), &["spec.images[2]: Duplicate value: \"a\""]);
    assert_refused(
        json!({"images": ["a".repeat(1025)]}),
        &["spec.images[0]: Too long: may not be more than 1024 bytes", NOT_CHECKED],
    );
}

#[test]
fn values_of_another_type_or_range_are_refused() {
    assert_refused(
        json!({"images": "app"}),
        &[
            "spec.images: Invalid value: \"string\": spec.images in body must be of type array: \"string\"",
            NOT_CHECKED,
        ],
    );
    assert_refused(
        json!({"images": [7]}),
        &[
            "spec.images[0]: Invalid value: \"integer\": spec.images[0] in body must be of type string: \"integer\"",
            NOT_CHECKED,
        ],
    );
    assert_refused(
        json!({"images": ["app"], "force": "yes", "onConflict": "Never"}),
        &[
            "spec.force: Invalid value: \"string\": spec.force in body must be of type boolean: \"string\"",
            "spec.onConflict: Unsupported value: \"Never\": supported values: \"Report\", \"Wait\"",
            NOT_CHECKED,
        ],
    );
    assert_refused(
        json!({"images": ["app"], "ttlSecondsAfterFinished": 1.5}),
        &[
            "spec.ttlSecondsAfterFinished: Invalid value: \"float64\": spec.ttlSecondsAfterFinished in body must be of \
             type int64: \"float64\"",
            NOT_CHECKED,
        ],
    );
    let deadline = "must be at least 1 second: write 600 for ten minutes, or leave it out for that default";
    for seconds in [0, -1] {
        assert_refused(
            json!({"images": ["app"], "activeDeadlineSeconds": seconds}),
            &[&format!("spec.activeDeadlineSeconds: Invalid value: {seconds}: {deadline}")],
        );
    }
    assert_refused(
        json!({"images": ["app"], "ttlSecondsAfterFinished": -5}),
        &[
            "spec.ttlSecondsAfterFinished: Invalid value: -5: must not be negative: write 0 to remove the deletion as \
             soon as it has finished, or leave it out for one day",
        ],
    );
}

#[test]
fn a_node_selector_is_checked_as_label_selectors_are() {
    let expressions = |list: Value| json!({"images": ["app"], "nodeSelector": {"matchExpressions": list}});
    assert_refused(
        expressions(
            json!([{"key": "a", "operator": "In"}, {"key": "b", "operator": "Exists", "values": ["x"]}]),
        ),
        &[
            "spec.nodeSelector.matchExpressions[0].values: Invalid value: operators In and NotIn need at least one \
             value; write Exists or DoesNotExist to ask only for the key",
            "spec.nodeSelector.matchExpressions[1].values: Invalid value: operators Exists and DoesNotExist take no \
             values; write In or NotIn to ask for values",
        ],
    );
    assert_refused(
        expressions(json!([{"operator": "Is"}])),
        &[
            "spec.nodeSelector.matchExpressions[0].key: Required value",
            "spec.nodeSelector.matchExpressions[0].operator: Unsupported value: \"Is\": supported values: \"In\", \
             \"NotIn\", \"Exists\", \"DoesNotExist\"",
            NOT_CHECKED,
        ],
    );
    const KEY: &str = "not a label's key: write [prefix/]name such as kubernetes.io/os, a name of at most 63 letters, digits, \
                       dashes, underscores and dots, which begins and ends with a letter or a digit, and a DNS subdomain before it";
    const VALUE: &str = "not a label's value: write at most 63 letters, digits, dashes, underscores and dots, a letter or a \
                         digit first and last";
    let long = format!("example.com/{}", "a".repeat(64));
    for key in ["", "a b", "/a", "a/", "a/b/c", "Example.com/a", "-a", &*long] {
        assert_refused(
            json!({"images": ["app"], "nodeSelector": {"matchLabels": {key: "x"}}}),
            &[&format!("spec.nodeSelector.matchLabels: Invalid value: {KEY}")],
        );
        assert_refused(
            expressions(json!([{"key": key, "operator": "Exists"}])),
            &[&format!("spec.nodeSelector.matchExpressions[0].key: Invalid value: {}: {KEY}", json!(key))],
        );
    }
    assert_refused(
        expressions(json!([{"key": "a", "operator": "In", "values": ["x y"]}])),
        &[&format!("spec.nodeSelector.matchExpressions[0].values[0]: Invalid value: \"x y\": {VALUE}")],
    );
    assert_refused(
        json!({"images": ["app"], "nodeSelector": {"matchLabels": {"a": "x", "c.d/e": "-x", "c.d/f_G": "x.Y_z-1"}}}),
        &[&format!("spec.nodeSelector.matchLabels[c.d/e]: Invalid value: \"-x\": {VALUE}")],
    );
    let spec = json!({"images": ["app"], "nodeSelector": {"matchLabels": {"kubernetes.io/os": "linux", "b": "", "c.d/f_G": "x.Y_z-1"}}});
    let selector = parse_spec(spec).unwrap().spec.node_selector.unwrap();
    assert_eq!(selector.match_labels.unwrap()["kubernetes.io/os"], "linux");
}

#[test]
fn unknown_fields_are_refused_wherever_they_are() {
    let mut object = object(
        json!({"name": "drop", "lables": {}}),
        json!({"images": ["app"], "foo": 1, "nodeSelector": {"matchLabel": {"a": "b"}}}),
    );
    object["status"] = json!({"nodes": {"lost": 1}});
    assert_eq!(
        parse(&object.to_string()).unwrap_err().to_string(),
        "strict decoding error: unknown field \"metadata.lables\", unknown field \"spec.foo\", \
         unknown field \"spec.nodeSelector.matchLabel\", unknown field \"status.nodes.lost\""
    );
}

#[test]
fn a_name_is_needed_and_has_to_be_one() {
    let name_of = |metadata| parse(&object(metadata, json!({"images": ["app"]})).to_string());
    let words = |metadata| name_of(metadata).unwrap_err().to_string();
    assert_eq!(
        words(json!({})).lines().next().unwrap(),
        "metadata.name: Required value: name or generateName is required"
    );
    assert!(words(json!({"name": "Drop_It"})).starts_with(
        "metadata.name: Invalid value: \"Drop_It\": a lowercase RFC 1123 subdomain must consist of lower case"
    ));
    assert!(words(json!({"name": "a".repeat(254)})).ends_with("must be no more than 253 bytes"));
    assert!(name_of(json!({"generateName": "drop-"})).is_ok());
    assert!(name_of(json!({"name": "drop.app-v1"})).is_ok());
}

#[test]
fn labels_and_annotations_have_to_be_some() {
    let problems = |metadata: Value| {
        let refused = parse(&object(metadata, json!({"images": ["app"]})).to_string()).err();
        refused
            .map(|error| error.to_string())
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let with = |field: &str, key: &str, value: &str| problems(json!({"name": "drop", field: {key: value}}));
    let long = "a".repeat(64);
    let rows = [
        (
            with("labels", "a b", "c d"),
            vec![
                "metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters",
                "metadata.labels: Invalid value: \"c d\": a valid label must be an empty string or consist of",
            ],
        ),
        (
            with("labels", "Example.com/a", ""),
            vec![
                "metadata.labels: Invalid value: \"Example.com/a\": prefix part a lowercase RFC 1123 subdomain must",
            ],
        ),
        (
            with("labels", "/", ""),
            vec![
                "metadata.labels: Invalid value: \"/\": prefix part must be non-empty",
                "metadata.labels: Invalid value: \"/\": name part must be non-empty",
                "metadata.labels: Invalid value: \"/\": name part must consist of",
            ],
        ),
        (
            with("labels", "a/b/c", ""),
            vec!["metadata.labels: Invalid value: \"a/b/c\": a valid label key must consist of"],
        ),
        (
            with("labels", &long, &long),
            vec!["name part must be no more than 63 bytes", "must be no more than 63 bytes"],
        ),
        (
            with("annotations", "a b", "c d"),
            vec!["metadata.annotations: Invalid value: \"a b\": name part must"],
        ),
        (
            with("annotations", "a", &"b".repeat(1 << 18)),
            vec!["metadata.annotations: Too long: may not be more than 262144 bytes", NOT_CHECKED],
        ),
        (with("annotations", "Example.com/a", "c d"), vec![]),
        (with("labels", "example.com/a", "b.c_d-e"), vec![]),
        (problems(json!({"name": "", "generateName": "drop-"})), vec![]),
        (
            problems(json!({"generateName": "Drop-"})),
            vec!["metadata.generateName: Invalid value: \"Drop-\": a lowercase"],
        ),
        (
            problems(json!({"name": ""})),
            vec!["metadata.name: Required value: name or generateName is required", NOT_CHECKED],
        ),
    ];
    for (found, expected) in rows {
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} does not contain {expected}");
        }
    }
}

#[test]
fn what_the_server_sets_is_dropped() {
    let mut written = object(
        json!({"name": "drop", "uid": "u", "generation": 7, "creationTimestamp": "2020-01-01T00:00:00Z", "labels": {"a": "b"}}),
        json!({"images": ["app"], "onConflict": "Wait", "force": null}),
    );
    written["status"] = json!({"phase": "Complete"});
    let deletion = parse(&written.to_string()).unwrap();
    let mut expected = ImageDeletion::new(
        "drop",
        ImageDeletionSpec { on_conflict: OnConflict::Wait, ..ImageDeletionSpec::of(["app"]) },
    );
    expected.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    assert_eq!(deletion, expected);
}

#[test]
fn yaml_with_one_object_is_read_and_anything_else_named() {
    let yaml = "---\n# drop it\napiVersion: secateur.dev/v1alpha1\nkind: ImageDeletion\nmetadata: {name: drop}\nspec:\n  images:\n  - app:v1\n";
    assert_eq!(parse(yaml).unwrap(), ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"])));

    let words = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(
        words(&format!("{yaml}{yaml}")),
        "2 documents in it: write one ImageDeletion, and each further one to a file of its own"
    );
    assert_eq!(words("# nothing\n"), "no object in it: write one ImageDeletion");
    assert_eq!(
        words("apiVersion: v1\nkind: Pod\n"),
        "not an ImageDeletion (apiVersion: v1, kind: Pod): write apiVersion: secateur.dev/v1alpha1 and kind: ImageDeletion"
    );
    assert_eq!(
        words("images: [app]"),
        "not an ImageDeletion (apiVersion: none, kind: none): write apiVersion: secateur.dev/v1alpha1 \
         and kind: ImageDeletion"
    );
    assert!(words("a: [").starts_with("not valid YAML or JSON: "));
    assert!(matches!(parse(&format!("{yaml}kind: ImageDeletion\n")), Err(InvalidDeletion::Syntax(_))));
}

#[test]
fn a_deletion_from_the_cluster_is_checked_again() {
    let good = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
    assert_eq!(problems(&good).unwrap(), vec![]);
    let bad = ImageDeletion::new("drop", ImageDeletionSpec::of(["App:v1"]));
    assert_eq!(
        problems(&bad).unwrap()[0].to_string(),
        "spec.images[0]: Invalid value: \"App:v1\": repository name must be lowercase: write app:v1"
    );
}

/// The checks of `structural` are complete only as long as this holds.
#[test]
fn the_spec_uses_no_keyword_that_is_not_checked() {
    const CHECKED: [&str; 16] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "nullable",
        "properties",
        "required",
        "type",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
        "title",
    ];
    fn walk(schema: &Value) {
        for (keyword, value) in schema.as_object().unwrap() {
            assert!(CHECKED.contains(&keyword.as_str()), "{keyword} is not checked: {schema}");
            match keyword.as_str() {
                "properties" => value.as_object().unwrap().values().for_each(walk),
                "items" | "additionalProperties" => walk(value),
                _ => {}
            }
        }
    }
    walk(&schema()["properties"]["spec"]);
}
