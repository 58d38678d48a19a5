//! Searches against all cells written out, at every instruction set and on several threads.

use isoloss_core::Error;
use isoloss_core::expr::Expression;
use isoloss_core::job::{Control, Job};
use isoloss_core::search::{Axis, Definition, Outcome, Query};
use isoloss_core::simd::Level;
use proptest::prelude::*;

fn axis(name: &str, values: &[f64]) -> Axis {
    Axis { columns: vec![(name.to_owned(), values.to_vec())], scale: values.iter().map(|&x| (x, 1.0)).collect() }
}

fn query<'a>(axes: &'a [Axis], by: &'a [usize], text: &'a str, condition: Option<&'a str>) -> Query<'a> {
    Query {
        axes,
        by,
        definitions: &[],
        minimize: text,
        second: None,
        condition,
        within: Some(0.1),
        top: 3,
        shape: true,
        tally: false,
        visit: false,
    }
}

/// Best value, its cell, and how many cells count and lie within a tenth of the best, by group of the first axis.
fn brute(axes: &[Axis], text: &str, condition: Option<&str>) -> Vec<(f64, i64, u64, u64)> {
    let sizes: Vec<usize> = axes.iter().map(Axis::len).collect();
    let cells: usize = sizes.iter().product();
    let names = ["x", "y", "z"];
    let columns: Vec<Vec<f64>> = (0..3)
        .map(|k| {
            let after: usize = sizes[k + 1..].iter().product();
            (0..cells).map(|cell| axes[k].columns[0].1[cell / after % sizes[k]]).collect()
        })
        .collect();
    let all = |text: &str| {
        let law = Expression::parse(text, &names, &[]).unwrap();
        let used: Vec<&[f64]> = law
            .variables()
            .iter()
            .map(|name| columns[names.iter().position(|known| known == name).unwrap()].as_slice())
            .collect();
        let values = law.evaluate(&used, &[]).unwrap();
        if used.is_empty() { vec![values[0]; cells] } else { values }
    };
    let (values, holds) = (all(text), condition.map(all));
    let per_group = cells / sizes[0];
    (0..sizes[0])
        .map(|group| {
            let counted: Vec<(usize, f64)> = (0..per_group)
                .map(|cell| (cell, group * per_group + cell))
                .filter(|&(_, at)| holds.as_ref().is_none_or(|holds| holds[at] != 0.0) && values[at].is_finite())
                .map(|(cell, at)| (cell, values[at]))
                .collect();
            let Some(&(_, first)) = counted.first() else { return (f64::NAN, -1, 0, 0) };
            let best = counted.iter().fold(first, |best, &(_, x)| if x < best { x } else { best });
            let (cell, best) = counted.iter().copied().find(|&(_, x)| x == best).unwrap();
            let near = counted.iter().filter(|&&(_, x)| x <= best + 0.1 * best.abs()).count();
            (best, i64::try_from(cell).unwrap(), counted.len() as u64, near as u64)
        })
        .collect()
}

fn bits(outcome: &Outcome) -> Vec<u64> {
    let floats = [&outcome.best, &outcome.top_value, &outcome.volume, &outcome.first, &outcome.second];
    let mut all: Vec<u64> = floats.iter().flat_map(|values| values.iter().map(|x| x.to_bits())).collect();
    all.extend(outcome.cell.iter().chain(&outcome.top_cell).chain(&outcome.parts).map(|x| x.cast_unsigned()));
    all.extend(outcome.feasible.iter().chain(&outcome.nonfinite).chain(&outcome.count));
    all.extend(outcome.low.iter().chain(&outcome.high).map(|&x| u64::from(x)));
    all
}

const TEXTS: [&str; 10] = [
    "x + y + z",
    "x - (y * 2 - z)",
    "sqrt(x * (y + z))",
    "max(x + z, y)",
    "exp(x * 0.1) * z - y",
    "log(y) / z",
    "(x + z) * (y - 2) + x * y",
    "-(z + y) / (x - 1)",
    "tanh(x * y * z)",
    "y",
];
const CONDITIONS: [Option<&str>; 7] = [
    None,
    Some("x * y <= 6"),
    Some("y + z > 2"),
    Some("z % 2 == 0"),
    Some("x > 1 and z < 4"),
    Some("x * y * z <= 10"),
    Some("x > 1e9"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_search_is_what_all_cells_say(
        x in prop::collection::vec(-1i32..5, 1..5),
        y in prop::collection::vec(-1i32..5, 1..80),
        z in prop::collection::vec(-1i32..5, 1..90),
        text in prop::sample::select(&TEXTS[..]),
        condition in prop::sample::select(&CONDITIONS[..]),
        visit in any::<bool>(),
    ) {
        let axes: Vec<Axis> = [("x", x), ("y", y), ("z", z)]
            .iter()
            .map(|(name, values)| axis(name, &values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>()))
            .collect();
        let query = Query { visit, ..query(&axes, &[0], text, condition) };
        let found = query.run(Job::new(1).unwrap(), &Control::silent()).unwrap();
        for (group, expected) in brute(&axes, text, condition).into_iter().enumerate() {
            let (best, cell) = (found.best[group], found.cell[group]);
            prop_assert_eq!(best.to_bits(), expected.0.to_bits(), "{} {}", best, expected.0);
            prop_assert_eq!((cell, found.feasible[group], found.count[group]), (expected.1, expected.2, expected.3));
        }
        for level in Level::available() {
            for threads in [1, 2] {
                let other = query.run_at(level, Job::new(threads).unwrap(), &Control::silent()).unwrap();
                prop_assert_eq!(bits(&found), bits(&other));
            }
        }
    }
}

#[test]
fn definitions_use_those_before_them_and_their_own_names() {
    let axes = [axis("x", &[1.0, 2.0, 4.0])];
    let definition = |name: &str, text: &str, constants: &[(&str, f64)], aliases: &[(&str, &str)]| Definition {
        name: name.to_owned(),
        text: text.to_owned(),
        constants: constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect(),
        aliases: aliases.iter().map(|&(from, to)| (from.to_owned(), to.to_owned())).collect(),
    };
    let definitions =
        [definition("f", "k * size", &[("k", 3.0)], &[("size", "x")]), definition("g", "f - k", &[("k", 10.0)], &[])];
    let query = Query { definitions: &definitions, ..query(&axes, &[], "abs(g)", None) };
    let found = query.run(Job::new(1).unwrap(), &Control::silent()).unwrap();
    assert_eq!((found.best[0], found.cell[0]), (2.0, 2));
    let wrong = Query { minimize: "k", ..query };
    assert!(matches!(wrong.run(Job::new(1).unwrap(), &Control::silent()), Err(Error::Syntax { .. })));
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let empty = Axis { columns: vec![("x".to_owned(), Vec::new())], scale: Vec::new() };
    let uneven =
        Axis { columns: vec![("x".to_owned(), vec![1.0]), ("y".to_owned(), vec![1.0, 2.0])], scale: Vec::new() };
    let nameless = Axis { columns: Vec::new(), scale: Vec::new() };
    let fine = axis("x", &[1.0, 2.0]);
    let job = Job::new(1).unwrap();
    for (axes, by) in [
        (vec![empty], vec![]),
        (vec![uneven], vec![]),
        (vec![nameless], vec![]),
        (vec![fine.clone()], vec![1]),
        (vec![fine.clone(), axis("y", &[1.0])], vec![0, 0]),
    ] {
        let refused = query(&axes, &by, "1", None).run(job, &Control::silent());
        assert!(matches!(refused, Err(Error::Option(_) | Error::Shape { .. })), "{refused:?}");
    }
}

#[test]
fn a_search_that_is_told_to_stop_stops() {
    let values: Vec<f64> = (1..2000).map(f64::from).collect();
    let axes = [axis("x", &values), axis("y", &values), axis("z", &values)];
    let query = query(&axes, &[], "tanh(x * y * z)", None);
    let control = Control::watched(|_, _| false, false);
    assert_eq!(query.run(Job::new(2).unwrap(), &control).unwrap_err(), Error::Interrupted);
}
