//! Searches against all cells written out, at every instruction set and on several threads.

use isoloss_core::Error;
use isoloss_core::expr::Expression;
use isoloss_core::job::{Control, Job};
use isoloss_core::search::{Axis, Between, Definition, Outcome, Query};
use isoloss_core::simd::Level;
use proptest::prelude::*;

use super::common::config;

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

/// What a group holds, from all of its cells written out.
#[derive(Debug, PartialEq)]
struct Expected {
    best: u64,
    cell: i64,
    feasible: u64,
    nonfinite: u64,
    /// Cells within a tenth of the best, and their first and last steps along both axes.
    count: u64,
    low: [u32; 2],
    high: [u32; 2],
    top: Vec<(u64, i64)>,
}

/// A text at every cell.
fn everywhere(axes: &[Axis], text: &str) -> Vec<f64> {
    let sizes: Vec<usize> = axes.iter().map(Axis::len).collect();
    let cells: usize = sizes.iter().product();
    let names = ["x", "y", "z"];
    let column = |k: usize| -> Vec<f64> {
        let after: usize = sizes[k + 1..].iter().product();
        (0..cells).map(|cell| axes[k].columns[0].1[cell / after % sizes[k]]).collect()
    };
    let law = Expression::parse(text, &names, &[]).unwrap();
    let place = |name: &String| names.iter().position(|known| known == name).unwrap();
    let used: Vec<Vec<f64>> = law.variables().iter().map(|name| column(place(name))).collect();
    let used: Vec<&[f64]> = used.iter().map(Vec::as_slice).collect();
    let values = law.evaluate(&used, &[]).unwrap();
    if used.is_empty() { vec![values[0]; cells] } else { values }
}

fn brute(axes: &[Axis], text: &str, condition: Option<&str>) -> Vec<Expected> {
    let sizes: Vec<usize> = axes.iter().map(Axis::len).collect();
    let cells: usize = sizes.iter().product();
    let (values, holds) = (everywhere(axes, text), condition.map(|condition| everywhere(axes, condition)));
    let per_group = cells / sizes[0];
    (0..sizes[0])
        .map(|group| {
            let allowed: Vec<(usize, f64)> = (0..per_group)
                .map(|cell| (cell, group * per_group + cell))
                .filter(|&(_, at)| holds.as_ref().is_none_or(|holds| holds[at] != 0.0))
                .map(|(cell, at)| (cell, values[at]))
                .collect();
            let mut counted: Vec<(usize, f64)> = allowed.iter().copied().filter(|(_, x)| x.is_finite()).collect();
            let best = counted.iter().fold(f64::INFINITY, |best, &(_, x)| if x < best { x } else { best });
            let first = counted.iter().find(|&&(_, x)| x == best);
            let limit = best + 0.1 * best.abs();
            let near: Vec<[u32; 2]> = counted
                .iter()
                .filter(|&&(_, x)| x <= limit)
                .map(|&(cell, _)| [(cell / sizes[2]) as u32, (cell % sizes[2]) as u32])
                .collect();
            let end = |pick: fn(u32, u32) -> u32| {
                let joined = near.iter().copied().reduce(|a, b| [pick(a[0], b[0]), pick(a[1], b[1])]);
                joined.unwrap_or_default()
            };
            let mut made = Expected {
                best: first.map_or(f64::NAN, |&(_, x)| x).to_bits(),
                cell: first.map_or(-1, |&(cell, _)| i64::try_from(cell).unwrap()),
                feasible: counted.len() as u64,
                nonfinite: (allowed.len() - counted.len()) as u64,
                count: near.len() as u64,
                low: end(u32::min),
                high: end(u32::max),
                top: vec![(f64::NAN.to_bits(), -1); 3],
            };
            counted.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then(a.0.cmp(&b.0)));
            for (to, &(cell, x)) in made.top.iter_mut().zip(&counted) {
                *to = (x.to_bits(), i64::try_from(cell).unwrap());
            }
            made
        })
        .collect()
}

fn got(found: &Outcome, group: usize) -> Expected {
    let pair = |values: &[u32]| [values[2 * group], values[2 * group + 1]];
    Expected {
        best: found.best[group].to_bits(),
        cell: found.cell[group],
        feasible: found.feasible[group],
        nonfinite: found.nonfinite[group],
        count: found.count[group],
        low: pair(&found.low),
        high: pair(&found.high),
        top: (3 * group..3 * group + 3).map(|k| (found.top_value[k].to_bits(), found.top_cell[k])).collect(),
    }
}

fn bits(outcome: &Outcome) -> Vec<u64> {
    let floats = [&outcome.best, &outcome.top_value, &outcome.volume, &outcome.first, &outcome.second];
    let mut all: Vec<u64> = floats.iter().flat_map(|values| values.iter().map(|x| x.to_bits())).collect();
    all.extend(outcome.cell.iter().chain(&outcome.top_cell).chain(&outcome.parts).map(|x| x.cast_unsigned()));
    all.extend(outcome.feasible.iter().chain(&outcome.nonfinite).chain(&outcome.count));
    all.extend(outcome.low.iter().chain(&outcome.high).map(|&x| u64::from(x)));
    all
}

const TEXTS: [&str; 16] = [
    "y + z",
    "abs(y - 1) + abs(z - x)",
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
    // Separable, with numbers on the way from a row to the value of its cells.
    "2 * (y + z) - 1",
    "min(3 - (y + z), 0.5) / 4",
    "sqrt(5 - (x * y - z))",
    "-0.5 * (1 + z * y)",
];
/// Of which conditions are made: on one axis, on two, on all; some of which leave a stretch of a row, some pieces of
/// it, some nothing.
const TERMS: [&str; 20] = [
    "x * y <= 6",
    "x * y * z <= 10",
    "y * z <= 8",
    "y + z > 2",
    "x + 2 * y >= z",
    "1 <= y * z < 9",
    "z < y",
    "z % 2 == 0",
    "(y + z) % 3 == 1",
    "x > 1",
    "z < 4",
    "y != 2",
    "abs(z - y) > 1",
    "floor(z / 2) == y",
    "x > 1e9",
    "z > 1e9",
    "y < 1e9",
    "0 < 1",
    "log(z) < y",
    "tanh(y * z) < x",
];

fn conditions() -> impl Strategy<Value = Option<String>> {
    let term = prop::sample::select(&TERMS[..]).prop_map(str::to_owned);
    let some = term.prop_recursive(3, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    });
    prop::option::weighted(0.85, some)
}

/// Values of an axis: few distinct ones, so that ties are common; rising, falling to a bottom and rising, or in no
/// order; some so large that sums overflow.
fn values(size: impl Strategy<Value = usize>) -> impl Strategy<Value = Vec<f64>> {
    (size, any::<u64>(), 0..4u8, 0..12u8).prop_map(|(size, seed, kind, large)| {
        let mut state = seed;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        let middle = random(size as u64) as f64;
        let mut made: Vec<f64> = (0..size)
            .map(|j| match kind {
                0 => j as f64 * 0.25,
                1 => (j as f64 - middle).abs() * 0.125,
                2 => (j as f64 * 0.125).floor() - 1.0,
                _ => random(6) as f64 - 1.0,
            })
            .collect();
        if large == 0 {
            let at = random(size as u64) as usize;
            made[at] = [1.7e308, -1.7e308][random(2) as usize];
        }
        made
    })
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn a_search_is_what_all_cells_say(
        x in values(1..4usize),
        y in values(prop_oneof![1..5usize, 1..80usize]),
        z in values(prop_oneof![1..10usize, 64..90usize, 64..90usize]),
        text in prop::sample::select(&TEXTS[..]),
        condition in conditions(),
        visit in any::<bool>(),
    ) {
        let axes = [axis("x", &x), axis("y", &y), axis("z", &z)];
        let query = Query { visit, ..query(&axes, &[0], text, condition.as_deref()) };
        let found = query.run(Job::new(1).unwrap(), &Control::silent()).unwrap();
        for (group, expected) in brute(&axes, text, condition.as_deref()).into_iter().enumerate() {
            prop_assert_eq!(got(&found, group), expected);
        }
        for level in Level::available() {
            for threads in [1, 2] {
                let other = query.run_at(level, Job::new(threads).unwrap(), &Control::silent()).unwrap();
                prop_assert_eq!(bits(&found), bits(&other));
            }
        }
    }
}

/// Of each group the cells that no other beats in both values: ascending in the first, descending in the second.
fn fronts(axes: &[Axis], texts: [&str; 2], condition: Option<&str>) -> Vec<Vec<(u64, u64, i64)>> {
    let [first, second] = texts.map(|text| everywhere(axes, text));
    let holds = condition.map(|condition| everywhere(axes, condition));
    let per_group = first.len() / axes[0].len();
    (0..axes[0].len())
        .map(|group| {
            let mut cells: Vec<(f64, f64, usize)> = (0..per_group)
                .map(|cell| (cell, group * per_group + cell))
                .filter(|&(_, at)| holds.as_ref().is_none_or(|holds| holds[at] != 0.0))
                .map(|(cell, at)| (first[at], second[at], cell))
                .filter(|(a, b, _)| a.is_finite() && b.is_finite())
                .collect();
            cells.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let mut front: Vec<(f64, f64, usize)> = Vec::new();
            for cell in cells {
                if front.last().is_none_or(|last| cell.1 < last.1) {
                    front.push(cell);
                }
            }
            front.into_iter().map(|(a, b, cell)| (a.to_bits(), b.to_bits(), i64::try_from(cell).unwrap())).collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn of_two_values_a_cell_counts_where_both_are_finite(
        x in values(1..4usize),
        y in values(prop_oneof![1..5usize, 1..80usize]),
        z in values(prop_oneof![1..10usize, 64..90usize]),
        text in prop::sample::select(&TEXTS[..]),
        second in prop::sample::select(&["z - y", "log(z)", "1 / (y - z)", "sqrt(x - 1) + z"][..]),
        condition in conditions(),
    ) {
        let axes = [axis("x", &x), axis("y", &y), axis("z", &z)];
        let condition = condition.as_deref();
        let query = Query {
            second: Some(second), within: None, top: 0, shape: false, ..query(&axes, &[0], text, condition)
        };
        let found = query.run(Job::new(2).unwrap(), &Control::silent()).unwrap();
        let values = [text, second].map(|text| everywhere(&axes, text));
        let holds = condition.map(|condition| everywhere(&axes, condition));
        let per_group = values[0].len() / x.len();
        for (group, front) in fronts(&axes, [text, second], condition).into_iter().enumerate() {
            let from = |bound: u64| usize::try_from(bound).unwrap();
            let range = from(found.front_start[group])..from(found.front_start[group + 1]);
            let got: Vec<_> = range
                .map(|k| (found.front_first[k].to_bits(), found.front_second[k].to_bits(), found.front_cell[k]))
                .collect();
            prop_assert_eq!(got, front);
            let cells = group * per_group..(group + 1) * per_group;
            let allowed = cells.filter(|&at| holds.as_ref().is_none_or(|holds| holds[at] != 0.0));
            let (both, rest): (Vec<usize>, Vec<usize>) = allowed.partition(|&at| values.iter().all(|v| v[at].is_finite()));
            prop_assert_eq!((found.feasible[group], found.nonfinite[group]), (both.len() as u64, rest.len() as u64));
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

#[test]
fn a_stopped_search_gives_the_groups_it_has_visited() {
    let values: Vec<f64> = (1..400).map(f64::from).collect();
    let axes = [axis("x", &values), axis("y", &values), axis("z", &values)];
    let text = "tanh(x * y - z) + erf(y * z / x) + log(x + y * z)";
    for by in [vec![0], vec![]] {
        let query = Query { top: 0, ..query(&axes, &by, text, None) };
        let whole = query.run(Job::new(2).unwrap(), &Control::silent()).unwrap();
        let part = query.run(Job::new(1).unwrap(), &Control::watched(|done, _| done == 0, true)).unwrap();
        assert!(part.stopped && !whole.stopped);
        let (mut some, mut none) = (0, 0);
        for group in 0..whole.best.len() {
            assert_eq!((whole.visited[group], whole.known[group]), (whole.cells, true));
            if part.visited[group] == whole.cells {
                some += 1;
                assert_eq!(part.best[group].to_bits(), whole.best[group].to_bits());
                assert_eq!((part.cell[group], part.feasible[group]), (whole.cell[group], whole.feasible[group]));
            }
            if part.known[group] {
                assert_eq!(part.count[group], whole.count[group]);
            }
            none += usize::from(part.visited[group] == 0);
            assert!(part.feasible[group] <= part.visited[group]);
            assert!(!(part.best[group] < whole.best[group]));
        }
        if by.is_empty() {
            assert!(0 < part.visited[0] && part.visited[0] < whole.cells && !part.known[0]);
        } else {
            assert!(some > 0 && none > 0, "{some} {none}");
        }
    }
}

#[test]
fn a_stopped_search_of_few_large_groups_has_whole_groups() {
    let values: Vec<f64> = (1..1500).map(f64::from).collect();
    let axes = [axis("x", &values[..12]), axis("y", &values), axis("z", &values)];
    for tally in [false, true] {
        let query = Query { top: 2, tally, ..query(&axes, &[0], "tanh(x * y - z) + erf(y * z / x)", None) };
        let whole = query.run(Job::new(2).unwrap(), &Control::silent()).unwrap();
        let half = |done: usize, total: usize| done < total / 2;
        let part = query.run(Job::new(2).unwrap(), &Control::watched(half, true)).unwrap();
        let known: Vec<usize> = (0..12).filter(|&group| part.known[group]).collect();
        assert!(part.stopped && !known.is_empty() && known.len() < 12, "{known:?}");
        for &group in &known {
            assert_eq!(got_top(&part, group), got_top(&whole, group));
            assert_eq!((part.count[group], part.parts[group]), (whole.count[group], whole.parts[group]));
        }
        if tally {
            let counted: u64 = known.iter().map(|&group| part.count[group]).sum();
            assert_eq!(part.tally.iter().map(|&count| u64::from(count)).sum::<u64>(), counted);
        }
    }
}

/// Best and least cells of a group.
fn got_top(found: &Outcome, group: usize) -> (u64, i64, Vec<u64>, Vec<i64>) {
    let top = 2 * group..2 * group + 2;
    let values = found.top_value[top.clone()].iter().map(|x| x.to_bits()).collect();
    (found.best[group].to_bits(), found.cell[group], values, found.top_cell[top].to_vec())
}

#[test]
fn results_that_memory_does_not_hold_are_refused() {
    let values: Vec<f64> = (0..1 << 17).map(f64::from).collect();
    let axes = [axis("x", &values), axis("y", &values), axis("z", &values)];
    let refused = query(&axes, &[2, 0, 1], "x + y + z", None).run(Job::new(1).unwrap(), &Control::silent());
    assert!(matches!(refused, Err(Error::Memory(_))), "{refused:?}");
}

#[test]
fn a_group_of_one_cell_has_a_plateau_of_one_cell() {
    let axes = [axis("x", &[1.0, 2.0])];
    let found = query(&axes, &[0], "log(x - 1)", None).run(Job::new(1).unwrap(), &Control::silent()).unwrap();
    assert_eq!((&found.count[..], &found.volume[..], &found.parts[..]), (&[0, 1][..], &[0.0, 1.0][..], &[0, 1][..]));
}

/// Texts over boxes, with whether a bound can be brought as close as one likes.
const LANDSCAPES: [(&str, bool); 14] = [
    ("x + y", true),
    ("(x - 1.3)**2 + (y - 0.7 * x)**2", true),
    ("1.7 + 400 / x**0.34 + 410 / y**0.28", true),
    ("0.02 * (log(x) + 0.3 * log(y))**2 + 0.01 * (log(y) - 0.5 * log(x * y))**2", true),
    ("sin_like - x", false),
    ("abs(x - 1.7) + 3 * abs(y - x)", true),
    ("max(x - y, y - x, 0.1 * x)", true),
    ("exp(-x) + tanh(y - x) + erf(x * y) + expit(x - 2 * y)", true),
    ("sqrt(x) * log1p(y) - log2(x + y) + expm1(-y)", true),
    ("where(x < y, x + 1, y - 1)", true),
    ("x**y - y**x", true),
    ("floor(x) + x % 0.7 + y", false),
    ("log(x - 1.5) + y / (y - 2)", false),
    ("min(x, y)**-2 + softplus(x - y)", true),
];

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn no_point_of_a_box_is_below_its_bound(
        (text, tight) in prop::sample::select(&LANDSCAPES[..]),
        low in [0.3..3.0f64, 0.3..3.0f64],
        wide in [0.0..2.0f64, 0.01..2.0f64],
        condition in prop::option::of(prop::sample::select(vec!["x * y <= 3", "x < y", "x + y > 2 and x % 0.5 < 0.3"])),
    ) {
        let text = text.replace("sin_like", "(x - floor(x + 0.5))**2");
        let high = [low[0] + wide[0], low[1] + wide[1]];
        let steps = 33;
        let at = |k: usize, i: usize| low[k] + (high[k] - low[k]) * f64::from(u32::try_from(i).unwrap()) / 32.0;
        let points: Vec<[f64; 2]> =
            (0..steps * steps).map(|i| [at(0, i / steps), at(1, i % steps)].map(f64::abs)).collect();
        let columns: Vec<Vec<f64>> = (0..2).map(|k| points.iter().map(|point| point[k].clamp(low[k], high[k])).collect()).collect();
        let values = |text: &str| {
            let law = Expression::parse(text, &["x", "y"], &[]).unwrap();
            let used: Vec<&[f64]> =
                law.variables().iter().map(|name| columns[usize::from(name == "y")].as_slice()).collect();
            law.evaluate(&used, &[]).unwrap()
        };
        let holds = condition.map_or(vec![1.0; points.len()], values);
        let counted: Vec<f64> =
            values(&text).into_iter().zip(holds).filter(|(x, holds)| x.is_finite() && *holds != 0.0).map(|(x, _)| x).collect();
        prop_assume!(!counted.is_empty());
        let reached = counted.iter().copied().fold(f64::INFINITY, f64::min);
        let most = counted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let close = 0.02 * (most - reached) + 1e-9;
        let between = Between {
            definitions: &[],
            minimize: &text,
            condition,
            columns: &["x", "y"],
            low: &low,
            high: &high,
            reached: &[reached],
            close: &[close],
            most: 30_000,
        };
        let bound = between.run(Job::new(1).unwrap(), &Control::silent()).unwrap()[0];
        prop_assert!(bound <= reached, "{} {}", bound, reached);
        if tight && condition.is_none() {
            // The points are 1/32 of the box apart: the least value may be a little below all of them.
            prop_assert!(bound >= reached - close - 0.15 * (most - reached), "{} {} {}", bound, reached, most);
            // More boxes tell no other story: a bound is a bound whenever one stops.
            let early = Between { most: 20, ..between }.run(Job::new(2).unwrap(), &Control::silent()).unwrap()[0];
            prop_assert!(early <= bound + close);
        }
    }
}
