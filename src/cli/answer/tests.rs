use serde_json::json;

use super::*;

const ID: &str = "sha256:276aff71fc5061ba1d8a8e5f7d0c9f7a1a2b3c4d5e6f708192a3b4c5d6e7f809";

fn result(image: &str, outcome: Outcome) -> ImageResult {
    ImageResult {
        image: image.into(),
        outcome,
        records: Vec::new(),
        conflicts: Vec::new(),
        reclaimed_bytes: 0,
        message: None,
    }
}

fn conflict(kind: ConflictKind, forcible: bool, message: &str) -> Conflict {
    Conflict {
        image: "cart:v1".into(),
        kind,
        forcible,
        namespace: Some("shop".into()),
        pod: Some("cart-7d9".into()),
        container: Some("cart".into()),
        message: message.into(),
    }
}

fn without_pod(conflict: Conflict) -> Conflict {
    Conflict { namespace: None, pod: None, container: Some("0d3f9e3c1a2b4c5d6e7f".into()), ..conflict }
}

const RUNNING: &str = "conflict: unable to delete 276aff71fc50 (cannot be forced) - image is being used by running container 0d3f9e3c1a2b";

fn results() -> Vec<ImageResult> {
    let running = conflict(ConflictKind::RunningContainer, false, RUNNING);
    vec![
        ImageResult {
            records: vec![Record::Untagged("app:v1".into()), Record::Deleted(ID.into())],
            reclaimed_bytes: 1_992_294,
            ..result("app:v1", Outcome::Deleted)
        },
        ImageResult {
            records: vec![Record::Untagged("registry.example.com:5000/acme/team/api:1.2.3".into())],
            ..result("registry.example.com:5000/acme/team/api:1.2.3", Outcome::Untagged)
        },
        ImageResult {
            conflicts: vec![
                without_pod(conflict(ConflictKind::StoppedContainer, true, "conflict: stopped")),
                running,
            ],
            message: Some("conflict: stopped; and so on".into()),
            ..result(ID, Outcome::Conflict)
        },
        ImageResult {
            message: Some("No such image: nosuch:latest".into()),
            ..result("nosuch", Outcome::Absent)
        },
    ]
}

fn screen(width: Option<u16>) -> Screen {
    let colours = false;
    Screen { width, colours }
}

#[test]
fn results_read_well_at_80_columns() {
    let expected = "\
IMAGE                         OUTCOME   RECLAIMED  WHAT HAPPENED
app:v1                        Deleted       1.9Mi  untagged app:v1
                                                   deleted 276aff71fc50
registry.example.com:5000/ac  Untagged          -  untagged registry.example.c
me/team/api:1.2.3                                  om:5000/acme/team/api:1.2.3
276aff71fc50                  Conflict          -  used by stopped container
                                                   0d3f9e3c1a2b
                                                   used by running container
                                                   shop/cart-7d9/cart
nosuch                        Absent            -
";
    assert_eq!(table(&results(), screen(Some(80))), expected);
}

#[test]
fn results_are_a_line_each_thing_without_a_terminal() {
    let expected = "\
IMAGE                                          OUTCOME   RECLAIMED  WHAT HAPPENED
app:v1                                         Deleted       1.9Mi  untagged app:v1
                                                                    deleted 276aff71fc50
registry.example.com:5000/acme/team/api:1.2.3  Untagged          -  untagged registry.example.com:5000/acme/team/api:1.2.3
276aff71fc50                                   Conflict          -  used by stopped container 0d3f9e3c1a2b
                                                                    used by running container shop/cart-7d9/cart
nosuch                                         Absent            -
";
    assert_eq!(table(&results(), screen(None)), expected);
    assert_eq!(table(&[], screen(None)), "");
}

#[test]
fn a_problem_is_told_with_its_holder_and_a_remedy() {
    let told: Vec<_> = results().iter().flat_map(problems).collect();
    let running = format!("{RUNNING} (shop/cart-7d9/cart): remove the container first");
    let expected = [
        "conflict: stopped: remove the container first, or use --force (by a name, only the name goes)",
        &running,
        "No such image: nosuch:latest",
    ];
    assert_eq!(told, expected);
    let moved =
        ImageResult { message: Some("app:v1 was moved".into()), ..result("app:v1", Outcome::Untagged) };
    assert_eq!(problems(&moved), ["app:v1 was moved"]);
}

#[test]
fn what_failed_is_told_beside_what_is_held() {
    let held = conflict(ConflictKind::RunningContainer, false, RUNNING);
    let some = ImageResult {
        conflicts: vec![held],
        message: Some("app:v2 was moved".into()),
        ..result("app:*", Outcome::Failed)
    };
    let running = format!("{RUNNING} (shop/cart-7d9/cart): remove the container first");
    assert_eq!(problems(&some), ["app:*: app:v2 was moved", &running]);
    assert_eq!(in_full(&some), "Failed: used by running container shop/cart-7d9/cart: app:v2 was moved");
    let done = results().remove(0);
    assert_eq!(in_full(&done), "Deleted: untagged app:v1, deleted 276aff71fc50");
}

#[test]
fn the_document_has_recovered_operations_only_where_there_are_some() {
    let answered = |result| Answered { exit: Exit::Done, result };
    let mut answer = Answer { results: vec![answered(results().remove(0))], recovered: Vec::new() };
    let written = json!({"results": [{
        "image": "app:v1",
        "outcome": "Deleted",
        "records": [{"untagged": "app:v1"}, {"deleted": ID}],
        "conflicts": [],
        "reclaimedBytes": 1_992_294,
    }]});
    assert_eq!(json!(answer.document()), written);
    answer.recovered.push(Ended { owner: "drop".into(), results: Vec::new() });
    assert_eq!(json!(answer.document())["recovered"], json!([{"owner": "drop", "results": []}]));
}

#[test]
fn the_worst_entry_decides_the_exit_code() {
    let answered = |exit| Answered { exit, result: result("app", Outcome::Absent) };
    let answer = Answer {
        results: vec![answered(Exit::Usage), answered(Exit::Conflict), answered(Exit::Absent)],
        recovered: Vec::new(),
    };
    assert_eq!(answer.exit(), Exit::Conflict);
}
