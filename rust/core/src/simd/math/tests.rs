//! Tests of the elementary functions: accuracy, and equal bits at every level.

use super::oracle::{self, Double, Reference};
use super::special_values::same;
use super::{
    erf, exp, exp_each, expit, expm1, floor, is_far, ln, ln_each, log1p, log2, log10, modulo, modulo_far, pow,
    pow_each, softplus, sqrt, tanh,
};
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
    Softplus = |x: f64, _: f64| softplus(x);
    Log2 = |x: f64, _: f64| log2(x);
    Log10 = |x: f64, _: f64| log10(x);
    Erf = |x: f64, _: f64| erf(x);
    Sqrt = |x: f64, _: f64| sqrt(x);
    Pow = pow;
    Floor = |x: f64, _: f64| floor(x);
    Modulo = modulo;
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
            assert!(error <= $bound, "{}({x:e}) = {y:e} is off by {error} ulp", stringify!($kernel));
            if error > worst.0 {
                worst = (error, x);
            }
        }
        println!("{} worst {:.3} ulp at {:e}", stringify!($kernel), worst.0, worst.1);
    }};
}

#[test]
fn exp_is_within_its_bound() {
    let reference = |x: f64| oracle::exp(Double::from(x));
    assert_ulps!(Exp, reference, 1.1, 1_000_000, |r: &mut Random| r.between(-708.0, 709.7));
    assert_ulps!(Exp, reference, 1.1, 1_000_000, |r: &mut Random| r.between(-2.0, 2.0));
    assert_ulps!(Exp, reference, 1.1, 200_000, |r: &mut Random| r.of_size(1e-300, 1.0));
    // Subnormal results: the rounding to their spacing adds at most half a unit.
    assert_ulps!(Exp, reference, 1.1, 200_000, |r: &mut Random| r.between(-745.2, -708.0));
}

#[test]
fn ln_is_within_its_bound() {
    let reference = |x: f64| oracle::ln(Double::from(x));
    let bound = 1.0;
    let positive = |r: &mut Random| f64::from_bits(r.bits() % INF.to_bits());
    assert_ulps!(Ln, reference, bound, 1_000_000, positive);
    assert_ulps!(Ln, reference, bound, 1_000_000, |r: &mut Random| r.between(0.4, 2.5));
    assert_ulps!(Ln, reference, bound, 200_000, |r: &mut Random| 1.0 + r.of_size(1e-15, 0.3));
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
        y.push(if i % 8 < 4 { exponent } else { exponent.clamp(-1.0, 1.0) });
    }
    let out = values!(Pow, Level::best(), x, y);
    let mut worst = 0.0f64;
    for i in 0..x.len() {
        let error = oracle::pow(x[i], y[i]).ulps(out[i]);
        worst = worst.max(error);
        assert!(error <= 1.1, "pow({:e}, {:e}) = {:e} is off by {error} ulp", x[i], y[i], out[i]);
    }
    println!("pow worst {worst:.3} ulp");
}

#[test]
fn the_others_are_within_their_bounds() {
    let n = 200_000;
    let positive = |r: &mut Random| f64::from_bits(r.bits() % INF.to_bits());
    assert_ulps!(Log2, oracle::log2, 0.51, n, positive);
    assert_ulps!(Log2, oracle::log2, 0.51, n, |r: &mut Random| r.between(0.4, 2.5));
    assert_ulps!(Log10, oracle::log10, 0.51, n, positive);
    assert_ulps!(Log10, oracle::log10, 0.51, n, |r: &mut Random| r.between(0.4, 2.5));
    assert_ulps!(Log1p, oracle::log1p, 1.5, n, |r: &mut Random| r.between(-1.0, 2.0));
    assert_ulps!(Log1p, oracle::log1p, 1.5, n, |r: &mut Random| r.of_size(1e-300, 0.999));
    assert_ulps!(Log1p, oracle::log1p, 1.5, n, |r: &mut Random| r.of_size(1e-3, 1e300).abs());
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r.between(-40.0, 2.0));
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r.between(-1.5, 1.5));
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r.between(0.0, 600.0));
    assert_ulps!(Expm1, oracle::expm1, 2.5, n, |r: &mut Random| r.of_size(1e-270, 1.0));
    assert_ulps!(Tanh, oracle::tanh, 3.0, n, |r: &mut Random| r.between(-22.0, 22.0));
    assert_ulps!(Tanh, oracle::tanh, 3.0, n, |r: &mut Random| r.of_size(1e-270, 1.0));
    assert_ulps!(Expit, oracle::expit, 2.5, n, |r: &mut Random| r.between(-745.0, 60.0));
    assert_ulps!(Expit, oracle::expit, 2.5, n, |r: &mut Random| r.between(-5.0, 5.0));
    assert_ulps!(Softplus, oracle::softplus, 3.0, n, |r: &mut Random| r.between(-745.0, 745.0));
    assert_ulps!(Softplus, oracle::softplus, 3.0, n, |r: &mut Random| r.between(-5.0, 5.0));
    assert_ulps!(Erf, oracle::erf, 2.0, n, |r: &mut Random| r.between(-2.0, 2.0));
    assert_ulps!(Erf, oracle::erf, 2.0, n, |r: &mut Random| r.between(-6.0, 6.0));
    assert_ulps!(Erf, oracle::erf, 2.0, n, |r: &mut Random| r.of_size(1e-300, 1.0));
}

#[test]
fn remainders_are_those_of_whole_numbers() {
    let mut random = Random(13);
    for _ in 0..200_000 {
        let (a, b) = (random.bits().cast_signed() >> 12, random.bits().cast_signed() >> (12 + random.bits() % 40));
        if b == 0 {
            continue;
        }
        let exact = a.rem_euclid(b.abs());
        let exact = if b < 0 && exact != 0 { exact + b } else { exact };
        assert_eq!(modulo(a as f64, b as f64), exact as f64, "{a} % {b}");
    }
    // As Python has it: what is just below zero rounds to the divisor.
    assert_eq!((modulo(-1e-20, 5.0), modulo(1e-20, -5.0)), (5.0, -5.0));
    assert!(is_far(1e17, 3.0) && is_far(1.0, INF) && is_far(1e308, 1e-308) && !is_far(9e15, 1.0));
    assert_eq!((modulo_far(1e17, 3.0), modulo_far(-1e17, 3.0)), (1.0, 2.0)); // 10^17 = 3 k + 1
    assert_eq!((modulo_far(5.0, INF), modulo_far(-5.0, INF)), (5.0, INF));
    assert!(modulo(1.0, 0.0).is_nan() && modulo(INF, 2.0).is_nan() && modulo(NAN, 2.0).is_nan());
    assert_eq!((floor(-0.5), floor(2.0), floor(1e300)), (-1.0, 2.0, 1e300));
}

#[test]
fn every_level_gives_the_same_bits() {
    let mut random = Random(3);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..100_003 {
        // Random patterns are mostly far out of range, so half of the points are of moderate size.
        let moderate = i % 2 == 0;
        x.push(if moderate { random.of_size(1e-6, 1e3) } else { f64::from_bits(random.bits()) });
        y.push(if moderate { random.of_size(1e-3, 1e2) } else { f64::from_bits(random.bits()) });
    }
    for special in [0.0, -0.0, INF, -INF, NAN, -NAN, TINY, -TINY, 1.0, -1.0, f64::MAX] {
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
    compare!(Exp Expm1 Tanh Expit Ln Log1p Softplus Log2 Log10 Erf Sqrt Pow Floor Modulo);
}

#[test]
fn blocks_of_powers_match_single_ones() {
    struct Each<'a>(&'a [f64; 24], &'a [f64; 24], &'a mut [f64; 24]);
    impl Kernel for Each<'_> {
        type Output = ();
        #[inline(always)]
        fn run(self) {
            pow_each(self.0, self.1, self.2);
        }
    }
    let mut random = Random(5);
    for _ in 0..2000 {
        let x = std::array::from_fn(|_| random.of_size(1e-3, 1e30));
        let y = std::array::from_fn(|i| random.between(-3.0, 3.0) * f64::from(i as u32 % 3));
        for level in Level::available() {
            let mut out = [0.0; 24];
            level.run(Each(&x, &y, &mut out));
            for i in 0..24 {
                assert!(same(out[i], pow(x[i], y[i])), "pow({:e}, {:e}) at {level}", x[i], y[i]);
            }
        }
    }
}

/// The three functions of whole blocks, one after the other.
struct Blocks<'a>(&'a [f64; 24], &'a [f64; 24], &'a mut [[f64; 24]; 3]);

impl Kernel for Blocks<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let [exps, logs, powers] = self.2;
        exp_each(self.0, exps);
        ln_each(self.0, logs);
        pow_each(self.0, self.1, powers);
    }
}

#[test]
fn blocks_have_the_bits_of_single_numbers() {
    let wild = [
        NAN,
        INF,
        -INF,
        0.0,
        -0.0,
        TINY,
        -TINY,
        1e-310,
        f64::MIN_POSITIVE,
        f64::MAX,
        -3.0,
        -745.2,
        709.9,
        700.0,
        -700.0,
        700.1,
        1e300,
    ]; // fmt: skip
    let mut random = Random(7);
    for round in 0..4000 {
        // Tame numbers, then the same with one that is not, in either operand.
        let mut x: [f64; 24] = std::array::from_fn(|_| random.of_size(1e-30, 690.0).abs());
        let mut y: [f64; 24] = std::array::from_fn(|_| random.between(-8.0, 8.0));
        let at = random.bits() as usize % 24;
        match round % 3 {
            0 => {}
            1 => x[at] = wild[random.bits() as usize % wild.len()],
            _ => y[at] = wild[random.bits() as usize % wild.len()],
        }
        for level in Level::available() {
            let mut out = [[0.0; 24]; 3];
            level.run(Blocks(&x, &y, &mut out));
            for i in 0..24 {
                let one = [exp(x[i]), ln(x[i]), pow(x[i], y[i])];
                for k in 0..3 {
                    let name = ["exp", "ln", "pow"][k];
                    assert!(same(out[k][i], one[k]), "{name}({:e}, {:e}) at {level}: {:e}", x[i], y[i], out[k][i]);
                }
            }
        }
    }
}
