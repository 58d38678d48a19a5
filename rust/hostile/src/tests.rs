use std::time::{Duration, Instant};

use crate::{Outcome, Source, try_text};

#[test]
fn a_seed_gives_the_same_texts() {
    let (one, other) = (Source::new(7), Source::new(8));
    assert_eq!(one.text(3), Source::new(7).text(3));
    assert!((0..20).any(|index| one.text(index) != other.text(index)));
}

/// A bounded run of what the program `hostile` does at length.
#[test]
fn texts_are_refused_or_run() {
    let source = Source::new(20_261_128);
    let mut ran = 0;
    for index in 0..4_000 {
        let text = source.text(index);
        let begun = Instant::now();
        ran += u64::from(try_text(&text) == Outcome::Ran);
        // Other work on the machine lengthens it; the program looks at processor time and allows one second.
        assert!(begun.elapsed() < Duration::from_secs(10), "text {index} took {:?}: {text:?}", begun.elapsed());
    }
    assert!((400..3_600).contains(&ran), "{ran} texts ran: both kinds of outcome are wanted");
}

#[test]
fn roots_inside_roots_are_bounded() {
    let mut text = "a * N / (N + D)".to_owned();
    for level in (0..2).rev() {
        text = format!("root(r{level}, r{level}**3 - 0.5 - 0.1 * ({text}), -1e6, 1e6)");
    }
    let begun = Instant::now();
    assert_eq!(try_text(&text), Outcome::Ran);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(try_text(&format!("root(q, q**3 - ({text}), -1e6, 1e6)")), Outcome::Refused);
}
