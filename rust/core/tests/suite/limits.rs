//! Hostile text is refused or handled, in bounded time and on a small stack.

use std::time::{Duration, Instant};

use isoloss_core::Error;
use isoloss_core::expr::{Expression, MAX_DEPTH, MAX_LENGTH, MAX_PARAMETERS, names};

use super::common::at_most;

/// Runs on a stack as small as the smallest that threads usually get.
fn timed<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let begun = Instant::now();
    let result = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(2 << 20);
        builder.spawn_scoped(scope, work).unwrap().join().unwrap()
    });
    assert!(begun.elapsed() < at_most(Duration::from_secs(5)), "{:?}", begun.elapsed());
    result
}

fn refused(text: &str, part: &str) {
    match timed(|| Expression::parse(text, &["x"], &[])) {
        Err(Error::Syntax { message, position }) => {
            assert!(message.contains(part), "{message}");
            assert!(position <= text.chars().count());
        }
        other => panic!("{:?}... gave {other:?}", &text[..20]),
    }
}

#[test]
fn too_long_too_deep_too_many() {
    refused(&"x".repeat(MAX_LENGTH + 1), "longer than");
    refused(&" ".repeat(MAX_LENGTH + 1), "longer than");
    refused(&format!("{}x", "(".repeat(MAX_LENGTH - 1)), "levels deep");
    refused(&format!("{}x", "-".repeat(MAX_LENGTH - 1)), "levels deep");
    refused(&format!("{}x", "x**".repeat(MAX_LENGTH / 3 - 1)), "levels deep");
    refused(&format!("{}x", "exp(".repeat(MAX_LENGTH / 4 - 1)), "levels deep");
}

#[test]
fn deepest_text_is_evaluated_and_derived() {
    // Every bracket takes two levels: its comparison and its sign.
    let depth = MAX_DEPTH / 2 - 1;
    for (open, inner, close) in [("(", "a * x", ")"), ("tanh(", "a * x", ")"), ("1 / (1 + ", "a * x", ")")] {
        let text = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        let (value, gradient, hessian) = timed(|| {
            let law = Expression::parse(&text, &["x"], &[]).unwrap();
            law.derivatives(&[&[1.5]], &[0.5]).unwrap()
        });
        assert!(value[0].is_finite() && gradient[0].is_finite() && hessian[0].is_finite(), "{text}");
    }
}

#[test]
fn long_chains_are_handled_or_refused() {
    let chains = [("a*x", "+"), ("a", "*"), ("x", "/"), ("(a-x)", "*"), ("a", "-")];
    for (link, operator) in chains {
        let count = (MAX_LENGTH - 10) / (link.len() + 1);
        let text = vec![link; count].join(operator);
        let outcome = timed(|| {
            Expression::parse(&text, &["x"], &[]).and_then(|law| {
                let columns = vec![&[1.0][..]; law.variables().len()];
                law.evaluate(&columns, &vec![1.0; law.parameters().len()])?;
                law.derivatives(&columns, &vec![1.0; law.parameters().len()])
            })
        });
        match outcome {
            Ok((value, ..)) => assert_eq!(value.len(), 1),
            Err(Error::Syntax { message, .. }) => assert!(message.contains("more than"), "{message}"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn as_many_parameters_as_allowed_are_handled_and_one_more_is_refused() {
    let text = |terms: usize| {
        let terms: Vec<String> = (0..terms).map(|k| format!("p{k} * x**q{k}")).collect();
        format!("({})**2", terms.join(" + "))
    };
    let (slope, corner) = timed(|| {
        let law = Expression::parse(&text(MAX_PARAMETERS / 2), &["x"], &[]).unwrap();
        assert_eq!(law.parameters().len(), MAX_PARAMETERS);
        // The square of a sum of 128 powers of two: all entries of the Hessian differ and none may be lost.
        let at: Vec<f64> = (0..MAX_PARAMETERS).map(|j| 1.0 + 1e-3 * j as f64).collect();
        let (_, gradient, hessian) = law.derivatives(&[&[2.0]], &at).unwrap();
        (gradient[0], hessian[MAX_PARAMETERS * MAX_PARAMETERS - 2])
    });
    let at = |j: usize| 1.0 + 1e-3 * j as f64;
    let sum: f64 = (0..MAX_PARAMETERS / 2).map(|k| at(2 * k) * at(2 * k + 1).exp2()).sum();
    let (p, q) = (at(MAX_PARAMETERS - 2), at(MAX_PARAMETERS - 1).exp2());
    let mixed = 2.0 * 2f64.ln() * (q * p * q + sum * q);
    assert!((slope / (2.0 * sum * at(1).exp2()) - 1.0).abs() < 1e-12, "{slope}");
    assert!((corner / mixed - 1.0).abs() < 1e-12, "{corner} {mixed}");
    match timed(|| Expression::parse(&text(MAX_PARAMETERS / 2 + 1), &["x"], &[])) {
        Err(Error::Syntax { message, position }) => {
            assert!(message.contains("'p128'") && message.contains("256 parameters"), "{message}");
            assert_eq!(text(MAX_PARAMETERS / 2 + 1)[position..].split(' ').next(), Some("p128"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn noise_never_panics() {
    let mut random = super::common::Random::new(61);
    let pieces = [
        "x",
        "a",
        "1",
        "2.5e3",
        "1e",
        ".",
        "(",
        ")",
        "+",
        "-",
        "*",
        "**",
        "/",
        ",",
        "<",
        "<=",
        "==",
        "!=",
        "!",
        "=",
        "exp",
        "exp(",
        "where(",
        "min(",
        " ",
        "é",
        "\u{1F600}",
        "\0",
        "_",
        "1_0",
        "^",
        "%",
    ];
    let mut parsed = 0;
    for _ in 0..20_000 {
        let text: String = (0..=random.below(12)).map(|_| *random.pick(&pieces)).collect();
        match names(&text) {
            Ok(_) => parsed += 1,
            Err(Error::Syntax { position, message }) => {
                assert!(position <= text.chars().count() && !message.is_empty(), "{text:?}: {message} at {position}");
            }
            Err(other) => panic!("{text:?}: {other}"),
        }
    }
    assert!(parsed > 100, "{parsed}");
}
