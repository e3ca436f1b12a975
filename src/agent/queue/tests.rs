use super::*;

fn key(age: &str) -> Key {
    let created = Timestamp::from_second(age.bytes().map(i64::from).sum()).unwrap();
    Key { created, name: age.into(), uid: format!("uid-{age}") }
}

fn queue(names: &[&str]) -> (Queue, Instant) {
    let mut queue = Queue::default();
    names.iter().for_each(|name| assert!(queue.see(key(name))));
    (queue, Instant::now())
}

#[test]
fn the_oldest_comes_first_and_each_comes_once() {
    let (mut queue, now) = queue(&["c", "a", "b"]);
    let order: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
    assert_eq!(order, [key("a"), key("b"), key("c")]);
}

#[test]
fn what_fails_waits_and_keeps_nobody_waiting() {
    let (mut queue, now) = queue(&["a", "b"]);
    let later = now + Duration::from_secs(5);
    let tried = queue.next(now).unwrap();
    queue.again(&tried, later);
    assert_eq!(queue.next(now), Some(key("b")));
    assert_eq!(queue.next(now), None);
    assert_eq!(queue.wakes(), Some(later));
    queue.see(key("c"));
    assert_eq!(queue.next(later), Some(key("c")), "a new one goes before one that is tried again");
    assert_eq!(queue.next(later), Some(key("a")));
}

#[test]
fn what_is_held_is_tried_when_something_is_released_but_not_too_often() {
    let (mut queue, now) = queue(&["a"]);
    let tried = queue.next(now).unwrap();
    queue.held(&tried, now, now, None);
    assert_eq!((queue.next(now + SPACING * 9), queue.wakes()), (None, None));
    queue.released(now);
    assert_eq!(queue.next(now), None);
    assert_eq!(queue.wakes(), Some(now + SPACING));
    assert_eq!(queue.next(now + SPACING), Some(key("a")));
}

#[test]
fn what_is_always_due_again_keeps_nobody_from_its_turn() {
    let (mut queue, now) = queue(&["a", "b", "c"]);
    let tries = (0..9).map(|turn| {
        // Each try takes longer than the spacing, and something is released meanwhile.
        let begin = now + (SPACING * 3 + LONGEST_PAUSE) * turn;
        let tried = queue.next(begin).unwrap();
        queue.released(begin + SPACING);
        queue.held(&tried, begin, begin + SPACING * 2, None);
        tried.name
    });
    assert_eq!(tries.collect::<String>(), "abcabcabc");
}

/// Looks at what is held as often as it is due, each look taking `look`, while something is released all the time.
fn looks(queue: &mut Queue, now: Instant, look: Duration, during: Duration) -> u32 {
    let (mut time, mut looks) = (now, 0);
    while time < now + during {
        queue.released(time);
        match queue.next(time) {
            Some(tried) => {
                looks += 1;
                queue.held(&tried, time, time + look, None);
                time += look;
            }
            None => time += Duration::from_millis(1),
        }
    }
    looks
}

#[test]
fn however_many_wait_the_node_is_looked_at_for_half_of_the_time() {
    for (waiting, look, fewest, most) in [(1, 10, 95, 100), (9, 10, 800, 910), (200, 50, 900, 1001)] {
        let names: Vec<_> = (0..waiting).map(|name| format!("{name:04}")).collect();
        let (mut queue, now) = queue(&names.iter().map(String::as_str).collect::<Vec<_>>());
        while let Some(tried) = queue.next(now) {
            queue.held(&tried, now, now, None);
        }
        let (look, during) = (Duration::from_millis(look), Duration::from_secs(100));
        let looks = looks(&mut queue, now, look, during);
        assert!((fewest..=most).contains(&looks), "{looks} looks of {look:?} for {waiting}");
    }
}

#[test]
fn the_end_of_a_wait_is_waited_for_behind_no_look() {
    let (mut queue, now) = queue(&["a", "b"]);
    let until = now + SPACING * 3;
    while let Some(tried) = queue.next(now) {
        queue.held(&tried, now, now, Some(until));
    }
    queue.released(now);
    let tried = queue.next(now + SPACING).unwrap();
    queue.held(&tried, now + SPACING, now + SPACING * 2, Some(until));
    assert_eq!((queue.next(now + SPACING * 2), queue.wakes()), (None, Some(until)));
    assert_eq!(queue.next(until), Some(key("b")), "it has waited longer");
}

#[test]
fn what_is_released_while_it_is_tried_is_no_more_missed() {
    let (mut queue, now) = queue(&["a"]);
    let tried = queue.next(now).unwrap();
    queue.released(now);
    queue.held(&tried, now, now, None);
    assert_eq!((queue.next(now), queue.wakes()), (None, Some(now + SPACING)));
    assert_eq!(queue.next(now + SPACING), Some(key("a")));
    queue.held(&tried, now + SPACING, now + SPACING, None);
    assert_eq!(queue.wakes(), None);
}

#[test]
fn what_was_removed_is_forgotten() {
    let (mut queue, now) = queue(&["a", "b", "c"]);
    queue.keep(&HashSet::from([key("c")]));
    assert!(!queue.is_open(&key("a")) && !queue.is_open(&key("b")));
    assert_eq!((queue.next(now), queue.next(now)), (Some(key("c")), None));
    queue.keep(&HashSet::new());
    queue.again(&key("c"), now);
    assert!(!queue.is_open(&key("c")), "a deletion that was removed while it was tried does not come back");
    assert!(queue.see(key("c")));
}

#[test]
fn what_is_done_is_no_news_when_it_is_listed_again() {
    let (mut queue, now) = queue(&["a", "b"]);
    queue.leave(&key("a"));
    assert_eq!(queue.next(now), Some(key("a")), "it is not done yet");
    queue.held(&key("a"), now, now, None);
    assert!(queue.is_open(&key("a")));
    for name in ["a", "b"] {
        queue.done(&key(name));
        assert!(!queue.is_open(&key(name)));
    }
    queue.leave(&key("b"));
    queue.keep(&HashSet::from([key("a")]));
    assert!(!queue.see(key("a")), "no agent does it twice because the API server was away");
    assert!(queue.see(key("b")), "the list had it not, so it is another");
}

#[test]
fn what_is_done_is_not_remembered_for_ever() {
    let mut queue = Queue::default();
    let key = |number: usize| Key {
        created: Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
        name: format!("drop-{number}"),
        uid: format!("uid-{number}"),
    };
    for number in 0..REMEMBERED + 9 {
        queue.see(key(number));
        queue.done(&key(number));
        queue.leave(&key(number));
    }
    assert_eq!(queue.entries.len(), REMEMBERED);
    assert!(queue.see(key(8)) && !queue.see(key(9)));
}

#[test]
fn what_is_held_is_looked_at_when_the_wait_is_over() {
    let (mut queue, now) = queue(&["a"]);
    let (tried, until) = (queue.next(now).unwrap(), now + SPACING * 9);
    queue.held(&tried, now, now, Some(until));
    assert_eq!((queue.next(now + SPACING), queue.wakes()), (None, Some(until)));
    assert_eq!(queue.next(until), Some(key("a")));
}
