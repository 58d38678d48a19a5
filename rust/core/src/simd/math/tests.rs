//! Tests of the elementary functions.

use super::{exp, ln, pow};

#[test]
fn matches_the_standard_library_closely() {
    for i in 0..100_000 {
        let x = f64::from(i) * 0.014 - 700.0;
        assert!((exp(x) / x.exp() - 1.0).abs() < 1e-15);
        let y = x.exp();
        assert!((ln(y) - y.ln()).abs() <= 4e-16 * y.ln().abs(), "{y}");
        assert!((pow(1.7, x) / 1.7f64.powf(x) - 1.0).abs() < 1e-15);
    }
}
