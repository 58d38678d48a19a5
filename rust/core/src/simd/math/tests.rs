//! Tests of the elementary functions: accuracy, special values, equal bits at every level.

use super::oracle::{self, Double, Reference};
use super::{erf, exp, expit, expm1, ln, log1p, log2, log10, pow, sqrt, tanh};
use crate::simd::{Kernel, Level};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const TINY: f64 = 5e-324;

/// A fixed stream of random bits (the `SplitMix64` recurrence).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        (high - low).mul_add((self.bits() >> 11) as f64 / 9007199254740992.0, low)
    }

    /// A number of random sign and mantissa whose exponent is uniform in a range.
    fn of_size(&mut self, low: f64, high: f64) -> f64 {
        let size = self.between(low.log2(), high.log2()).exp2();
        if self.bits() & 1 == 0 { size } else { -size }
    }
}

/// Applies a two-argument function to whole slices, so that it is compiled as vector code.
macro_rules! kernels {
    ($($kernel:ident = $function:expr;)*) => {$(
        struct $kernel<'a>(&'a [f64], &'a [f64], &'a mut [f64]);
        impl Kernel for $kernel<'_> {
            type Output = ();
            #[inline(always)]
            fn run(self) {
                let n = self.2.len();
                let (x, y) = (&self.0[..n], &self.1[..n]);
                for i in 0..n {
                    self.2[i] = $function(x[i], y[i]);
                }
            }
        }
    )*};
}

kernels! {
    Exp = |x: f64, _: f64| exp(x);
    Expm1 = |x: f64, _: f64| expm1(x);
    Tanh = |x: f64, _: f64| tanh(x);
    Expit = |x: f64, _: f64| expit(x);
    Ln = |x: f64, _: f64| ln(x);
    Log1p = |x: f64, _: f64| log1p(x);
    Log2 = |x: f64, _: f64| log2(x);
    Log10 = |x: f64, _: f64| log10(x);
    Erf = |x: f64, _: f64| erf(x);
    Sqrt = |x: f64, _: f64| sqrt(x);
    Pow = pow;
}

/// Values of a kernel on columns of arguments, at a level.
macro_rules! values {
    ($kernel:ident, $level:expr, $x:expr, $y:expr) => {{
        let mut out = vec![0.0; $x.len()];
        $level.run($kernel(&$x, &$y, &mut out));
        out
    }};
}

/// Asserts the largest error of a kernel over points drawn from a range.
macro_rules! assert_ulps {
    ($kernel:ident, $reference:expr, $bound:expr, $count:expr, $draw:expr) => {{
        let mut random = Random(7);
        let x: Vec<f64> = (0..$count).map(|_| $draw(&mut random)).collect();
        let out = values!($kernel, Level::best(), x, x);
        let mut worst = (0.0, 0.0);
        for (&x, &y) in x.iter().zip(&out) {
            let reference: Reference = $reference(x).into();
            let error = reference.ulps(y);
            assert!(
                error <= $bound,
                "{}({x:e}) = {y:e} is off by {error} ulp",
                stringify!($kernel)
            );
            if error > worst.0 {
                worst = (error, x);
            }
        }
        println!(
            "{} worst {:.3} ulp at {:e}",
            stringify!($kernel),
            worst.0,
            worst.1
        );
    }};
}

#[test]
fn exp_is_within_its_bound() {
    let reference = |x: f64| oracle::exp(Double::from(x));
    assert_ulps!(Exp, reference, 1.1, 1_000_000, |r: &mut Random| r
        .between(-708.0, 709.7));
    assert_ulps!(Exp, reference, 1.1, 1_000_000, |r: &mut Random| r
        .between(-2.0, 2.0));
    assert_ulps!(Exp, reference, 1.1, 200_000, |r: &mut Random| r
        .of_size(1e-300, 1.0));
    // Subnormal results: the rounding to their spacing adds at most half a unit.
    assert_ulps!(Exp, reference, 1.1, 200_000, |r: &mut Random| r
        .between(-745.2, -708.0));
}

#[test]
fn ln_is_within_its_bound() {
    let reference = |x: f64| oracle::ln(Double::from(x));
    let bound = 1.1;
    let positive = |r: &mut Random| f64::from_bits(r.bits() % INF.to_bits());
    assert_ulps!(Ln, reference, bound, 1_000_000, positive);
    assert_ulps!(Ln, reference, bound, 1_000_000, |r: &mut Random| r
        .between(0.4, 2.5));
    assert_ulps!(Ln, reference, bound, 200_000, |r: &mut Random| 1.0
        + r.of_size(1e-15, 0.3));
    let subnormal = |r: &mut Random| f64::from_bits(r.bits() >> 13 | 1);
    assert_ulps!(Ln, reference, bound, 200_000, subnormal);
}

#[test]
fn pow_is_within_its_bound() {
    let mut random = Random(11);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..2_000_000 {
        let base = match i % 4 {
            0 => f64::from_bits(random.bits() % INF.to_bits()),
            1 => random.between(0.5, 2.0),
            2 => 1.0 + random.of_size(1e-12, 0.2),
            _ => random.of_size(1e-12, 1e24).abs(),
        };
        // Half of the exponents reach to the ends of the range, half are those of scaling laws.
        let most = 745.0 / base.ln().abs();
        let exponent = random.between(-most, most);
        x.push(base);
        y.push(if i % 8 < 4 {
            exponent
        } else {
            exponent.clamp(-1.0, 1.0)
        });
    }
    let out = values!(Pow, Level::best(), x, y);
    let mut worst = 0.0f64;
    for i in 0..x.len() {
        let error = oracle::pow(x[i], y[i]).ulps(out[i]);
        worst = worst.max(error);
        assert!(
            error <= 1.1,
            "pow({:e}, {:e}) = {:e} is off by {error} ulp",
            x[i],
            y[i],
            out[i]
        );
    }
    println!("pow worst {worst:.3} ulp");
}

#[test]
fn the_others_are_within_their_bounds() {
    let n = 200_000;
    let positive = |r: &mut Random| f64::from_bits(r.bits() % INF.to_bits());
    assert_ulps!(Log2, oracle::log2, 0.6, n, positive);
    assert_ulps!(Log2, oracle::log2, 0.6, n, |r: &mut Random| r
        .between(0.4, 2.5));
    assert_ulps!(Log10, oracle::log10, 0.6, n, positive);
    assert_ulps!(Log10, oracle::log10, 0.6, n, |r: &mut Random| r
        .between(0.4, 2.5));
    assert_ulps!(Log1p, oracle::log1p, 2.0, n, |r: &mut Random| r
        .between(-1.0, 2.0));
    assert_ulps!(Log1p, oracle::log1p, 2.0, n, |r: &mut Random| r
        .of_size(1e-300, 0.999));
    assert_ulps!(Log1p, oracle::log1p, 2.0, n, |r: &mut Random| r
        .of_size(1e-3, 1e300)
        .abs());
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r
        .between(-40.0, 2.0));
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r
        .between(-1.5, 1.5));
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r
        .between(0.0, 600.0));
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r
        .of_size(1e-270, 1.0));
    assert_ulps!(Tanh, oracle::tanh, 3.0, n, |r: &mut Random| r
        .between(-22.0, 22.0));
    assert_ulps!(Tanh, oracle::tanh, 3.0, n, |r: &mut Random| r
        .of_size(1e-270, 1.0));
    assert_ulps!(Expit, oracle::expit, 3.0, n, |r: &mut Random| r
        .between(-745.0, 60.0));
    assert_ulps!(Expit, oracle::expit, 3.0, n, |r: &mut Random| r
        .between(-5.0, 5.0));
    assert_ulps!(Erf, oracle::erf, 2.0, n, |r: &mut Random| r
        .between(-2.0, 2.0));
    assert_ulps!(Erf, oracle::erf, 2.0, n, |r: &mut Random| r
        .between(-6.0, 6.0));
    assert_ulps!(Erf, oracle::erf, 2.0, n, |r: &mut Random| r
        .of_size(1e-300, 1.0));
}

/// Equal values with equal signs of zero; every NaN must have the one pattern.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

#[test]
fn special_values_of_one_argument() {
    type Case = (&'static str, fn(f64) -> f64, &'static [(f64, f64)]);
    let cases: [Case; 10] = [
        (
            "exp",
            exp,
            &[
                (0.0, 1.0),
                (-0.0, 1.0),
                (INF, INF),
                (-INF, 0.0),
                (709.79, INF),
                (-746.0, 0.0),
            ],
        ),
        (
            "expm1",
            expm1,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (INF, INF),
                (-INF, -1.0),
                (TINY, TINY),
            ],
        ),
        (
            "tanh",
            tanh,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (INF, 1.0),
                (-INF, -1.0),
                (-TINY, -TINY),
            ],
        ),
        (
            "expit",
            expit,
            &[
                (0.0, 0.5),
                (-0.0, 0.5),
                (INF, 1.0),
                (-INF, 0.0),
                (-800.0, 0.0),
            ],
        ),
        (
            "ln",
            ln,
            &[
                (0.0, -INF),
                (-0.0, -INF),
                (INF, INF),
                (1.0, 0.0),
                (-1.0, NAN),
                (-INF, NAN),
            ],
        ),
        (
            "log1p",
            log1p,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (INF, INF),
                (-1.0, -INF),
                (-1.5, NAN),
                (-INF, NAN),
            ],
        ),
        (
            "log2",
            log2,
            &[
                (0.0, -INF),
                (INF, INF),
                (-TINY, NAN),
                (TINY, -1074.0),
                (1.0, 0.0),
            ],
        ),
        (
            "log10",
            log10,
            &[
                (0.0, -INF),
                (INF, INF),
                (-1.0, NAN),
                (1e-5, -5.0),
                (1.0, 0.0),
            ],
        ),
        (
            "erf",
            erf,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (INF, 1.0),
                (-INF, -1.0),
                (1e300, 1.0),
            ],
        ),
        (
            "sqrt",
            sqrt,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (INF, INF),
                (-1.0, NAN),
                (4.0, 2.0),
            ],
        ),
    ];
    for (name, function, table) in cases {
        for &(x, expected) in table {
            let y = function(x);
            assert!(
                same(y, expected),
                "{name}({x:e}) = {y:e}, expected {expected:e}"
            );
        }
        for bits in [
            0x7ff8_0000_0000_0000,
            0xfff8_0000_0000_0001,
            0x7ff0_0000_0000_0001,
        ] {
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
        assert!(
            same(value, expected),
            "pow({x:e}, {y:e}) = {value:e}, expected {expected:e}"
        );
    }
    for x in [0.0, -0.0, 1.0, -2.5, INF, -INF, NAN, TINY] {
        assert_eq!(pow(x, 0.0), 1.0);
        assert_eq!(pow(x, -0.0), 1.0);
        assert_eq!(pow(1.0, x), 1.0);
    }
}

#[test]
fn every_level_gives_the_same_bits() {
    let mut random = Random(3);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..100_003 {
        // Random patterns are mostly far out of range, so half of the points are of moderate size.
        let moderate = i % 2 == 0;
        x.push(if moderate {
            random.of_size(1e-6, 1e3)
        } else {
            f64::from_bits(random.bits())
        });
        y.push(if moderate {
            random.of_size(1e-3, 1e2)
        } else {
            f64::from_bits(random.bits())
        });
    }
    for special in [
        0.0,
        -0.0,
        INF,
        -INF,
        NAN,
        -NAN,
        TINY,
        -TINY,
        1.0,
        -1.0,
        f64::MAX,
    ] {
        x.extend([special; 3]);
        y.extend([0.5, special, -3.0]);
    }
    macro_rules! compare {
        ($($kernel:ident)*) => {$(
            let expected = values!($kernel, Level::Baseline, x, y);
            for level in Level::available() {
                let out = values!($kernel, level, x, y);
                for i in 0..x.len() {
                    assert!(same(out[i], expected[i]),
                        "{}({:e}, {:e}) = {:e} at {level} but {:e} at baseline",
                        stringify!($kernel), x[i], y[i], out[i], expected[i]);
                }
            }
        )*};
    }
    compare!(Exp Expm1 Tanh Expit Ln Log1p Log2 Log10 Erf Sqrt Pow);
}
