//! Tests of the elementary functions where the result is known exactly.

use super::{erf, exp, expit, expm1, ln, log1p, log2, log10, pow, softplus, sqrt, tanh};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const TINY: f64 = 5e-324;

/// Equal values with equal signs of zero; every NaN must have the one pattern.
pub(super) fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

#[test]
fn special_values_of_one_argument() {
    type Case = (&'static str, fn(f64) -> f64, &'static [(f64, f64)]);
    let cases: [Case; 11] = [
        ("exp", exp, &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (709.79, INF), (-746.0, 0.0)]),
        ("expm1", expm1, &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (TINY, TINY)]),
        ("tanh", tanh, &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (-TINY, -TINY)]),
        ("expit", expit, &[(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-800.0, 0.0)]),
        ("ln", ln, &[(0.0, -INF), (-0.0, -INF), (INF, INF), (1.0, 0.0), (-1.0, NAN), (-INF, NAN)]),
        ("log1p", log1p, &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, -INF), (-1.5, NAN), (-INF, NAN)]),
        ("softplus", softplus, &[(INF, INF), (-INF, 0.0), (800.0, 800.0), (-1e4, 0.0), (0.0, std::f64::consts::LN_2)]),
        ("log2", log2, &[(0.0, -INF), (INF, INF), (-TINY, NAN), (TINY, -1074.0), (1.0, 0.0)]),
        ("log10", log10, &[(0.0, -INF), (INF, INF), (-1.0, NAN), (1e-5, -5.0), (1.0, 0.0)]),
        ("erf", erf, &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e300, 1.0)]),
        ("sqrt", sqrt, &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, NAN), (4.0, 2.0)]),
    ];
    for (name, function, table) in cases {
        for &(x, expected) in table {
            let y = function(x);
            assert!(same(y, expected), "{name}({x:e}) = {y:e}, expected {expected:e}");
        }
        for bits in [0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0001, 0x7ff0_0000_0000_0001] {
            assert!(same(function(f64::from_bits(bits)), NAN), "{name}(NaN)");
        }
    }
}

#[test]
fn results_that_must_be_exact() {
    for n in -1074..=1023 {
        let x = 2f64.powi(n.max(-1000)) * 2f64.powi(n.min(-1000) + 1000);
        assert_eq!(log2(x), f64::from(n));
        assert_eq!(pow(2.0, f64::from(n)), x);
    }
    for n in 0..=22 {
        assert_eq!(log10(10f64.powi(n)), f64::from(n));
        assert_eq!(pow(10.0, f64::from(n)), 10f64.powi(n));
    }
    for n in 1..1000 {
        let x = f64::from(n);
        assert_eq!(pow(x, 1.0), x);
        assert_eq!(pow(x, 2.0), x * x);
        assert_eq!(pow(-x, 3.0), -x * x * x);
        assert_eq!(pow(x * x, 0.5), x);
    }
}

#[test]
fn special_values_of_pow() {
    // Laws of IEEE 754-2019 section 9.2.1, with 3 for an odd, 4 for an even and 1.5 for a broken exponent.
    let table = [
        (0.0, 3.0, 0.0),
        (-0.0, 3.0, -0.0),
        (-0.0, 4.0, 0.0),
        (-0.0, 1.5, 0.0),
        (0.0, -3.0, INF),
        (-0.0, -3.0, -INF),
        (-0.0, -4.0, INF),
        (-0.0, -1.5, INF),
        (-0.0, INF, 0.0),
        (-0.0, -INF, INF),
        (INF, 0.5, INF),
        (INF, -0.5, 0.0),
        (-INF, 3.0, -INF),
        (-INF, 4.0, INF),
        (-INF, 1.5, INF),
        (-INF, -3.0, -0.0),
        (-INF, -4.0, 0.0),
        (-INF, -1.5, 0.0),
        (2.0, INF, INF),
        (2.0, -INF, 0.0),
        (-0.5, INF, 0.0),
        (-0.5, -INF, INF),
        (-1.0, INF, 1.0),
        (-1.0, -INF, 1.0),
        (-2.0, 3.0, -8.0),
        (-2.0, 4.0, 16.0),
        (-2.0, 1.5, NAN),
        (-TINY, 0.5, NAN),
        (-1.0, 9007199254740991.0, -1.0),
        (-1.0, 9007199254740992.0, 1.0),
        (-1.0, 4503599627370497.0, -1.0),
        (-1.0, 4503599627370495.5, NAN),
        (2.0, 1024.0, INF),
        (-2.0, 1025.0, -INF),
        (2.0, -1075.0, 0.0),
        (2.0, -1074.0, TINY),
        (1e-300, -1e300, INF),
        (1e-300, 1e300, 0.0),
        (1.0000000000000002, 1e308, INF),
        (TINY, 1.0, TINY),
        (f64::MAX, 1.0, f64::MAX),
        (NAN, 1.0, NAN),
        (1.5, NAN, NAN),
        (0.0, NAN, NAN),
    ];
    for (x, y, expected) in table {
        let value = pow(x, y);
        assert!(same(value, expected), "pow({x:e}, {y:e}) = {value:e}, expected {expected:e}");
    }
    for x in [0.0, -0.0, 1.0, -2.5, INF, -INF, NAN, TINY] {
        assert_eq!(pow(x, 0.0), 1.0);
        assert_eq!(pow(x, -0.0), 1.0);
        assert_eq!(pow(1.0, x), 1.0);
    }
}
