//! The same bits on any number of threads and at every instruction-set level.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

use isoloss_core::fit::{Fits, Loss, Space};
use isoloss_core::simd::{Level, level};

use super::common::{Case, HUBER, Random, SQUARED, assert_same_bits, chinchilla, scatter};

/// Batches that between them use every operation, every loss and every way to give data.
fn batches() -> Vec<Case> {
    let delta = 0.01;
    let mut cases = Vec::new();
    for (loss, space) in [
        (SQUARED, Space::Raw),
        (HUBER, Space::Log),
        (Loss::Absolute, Space::Log),
        (Loss::SoftL1 { delta }, Space::Log),
        (Loss::Cauchy { delta }, Space::Log),
        (Loss::LogCosh { delta }, Space::Raw),
        (Loss::AsymmetricHuber { delta, over: 2.0 }, Space::Log),
        (Loss::Expectile { over: 2.0 }, Space::Raw),
        (Loss::Quantile { tau: 0.4 }, Space::Log),
    ] {
        let mut case = chinchilla(83, 0.02, 31);
        case.objective.loss = loss;
        case.objective.space = space;
        scatter(&mut case, 60, 0.2, 32);
        let mut random = Random::new(33);
        case.weights = Some((0..60 * 83).map(|_| random.below(3) as f64).collect());
        cases.push(case);
    }
    let mut random = Random::new(34);
    let x: Vec<f64> = (0..150).map(|_| random.uniform(0.1, 4.0)).collect();
    for text in [
        "expit(a * tanh(x) + b * erf(x) + c * log2(x))",
        "expit(log(exp(a * x) + x**b + exp(x - c)) - softplus(c * x))",
        "expit(root(L, L - a * x - tanh(b * L) / 2 - c, -20, 20))",
        "expit(min(a * x, b + log10(x)) + where(x > 1, c * expm1(-x), log1p(c * c) * sqrt(x)))",
    ] {
        for (loss, space) in [(Loss::Binomial, Space::Raw), (SQUARED, Space::Logit)] {
            let mut case = Case::new(text, &["x"], vec![x.clone()], (loss, space));
            case.targets = case.predict(&[0.3, -0.2, 0.5]).iter().map(|m| m * 0.9 + 0.05).collect();
            case.starts = vec![0.2, -0.1, 0.4];
            scatter(&mut case, 40, 0.5, 35);
            cases.push(case);
        }
    }
    cases.push(super::sums::multi_power(3, 50, 1e-3));
    cases.push(super::far_sums::vanishing(40, 1e-3));
    cases.push(through_a_sum());
    cases
}

/// A law whose parameters act through one sum: derivatives are taken by the chain rule there.
fn through_a_sum() -> Case {
    let mut random = Random::new(36);
    let columns = (0..2).map(|_| (0..75).map(|_| random.spread(1e2, 1e6)).collect()).collect();
    let mut case = Case::new("E + (A / N**a + B / D**b)**k", &["N", "D"], columns, (HUBER, Space::Log));
    case.constraints.log_scale =
        case.law.parameters().iter().map(|name| !["a", "b"].contains(&name.as_str())).collect();
    let truth = [1.7, 40.0, 0.34, 90.0, 0.29, 0.8];
    case.targets = case.predict(&truth).iter().map(|y| y * (0.01 * random.normal()).exp()).collect();
    case.starts = truth.to_vec();
    scatter(&mut case, 40, 0.3, 37);
    case
}

fn fits(threads: usize) -> Vec<Fits> {
    let with_threads = |mut case: Case| {
        case.threads = threads;
        case.run()
    };
    batches().into_iter().map(with_threads).collect()
}

/// Everything that a batch returns, and the derivatives of its law, as one line of bits.
fn fingerprint() -> String {
    let mut text = format!("level {}", level::active().unwrap());
    for (case, fits) in batches().iter().zip(fits(1)) {
        let columns: Vec<&[f64]> = case.columns.iter().map(Vec::as_slice).collect();
        let p = case.law.parameters().len();
        let (value, gradient, hessian) = case.law.derivatives(&columns, &case.starts[..p]).unwrap();
        let all = [&fits.parameters, &fits.value, &value, &gradient, &hessian];
        let bits = all.into_iter().flatten().map(|v| v.to_bits());
        let rest = fits.status.iter().map(|&s| u64::from(s)).chain(fits.iterations.iter().map(|&i| u64::from(i)));
        // FNV-1a over the words; the first few values stand beside it, to show where a difference begins.
        let hash = bits.chain(rest).fold(0xcbf2_9ce4_8422_2325u64, |h, word| {
            word.to_le_bytes().iter().fold(h, |h, &byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        });
        write!(text, " {hash:016x} {:016x}", fits.value[0].to_bits()).unwrap();
    }
    text
}

#[test]
fn threads_do_not_change_a_bit() {
    let single = fits(1);
    for threads in [2, 3] {
        for (b, (a, other)) in single.iter().zip(fits(threads)).enumerate() {
            assert_same_bits(&other, a, &format!("batch {b} on {threads} threads"));
        }
    }
}

/// Not a test: what [`levels_do_not_change_a_bit`] runs in a process of its own, since a process has one level.
#[test]
#[ignore = "the other half of levels_do_not_change_a_bit"]
fn print_fingerprint() {
    writeln!(std::io::stdout(), "fingerprint {}", fingerprint()).unwrap();
}

#[test]
fn levels_do_not_change_a_bit() {
    let at = |level: Level| -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["bits::print_fingerprint", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env("ISOLOSS_SIMD", level.name())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.split_once("fingerprint level "));
        let (_, line) =
            line.unwrap_or_else(|| panic!("{level} printed\n{text}\n{}", String::from_utf8_lossy(&output.stderr)));
        let (used, bits) = line.split_once(' ').unwrap();
        assert_eq!(used, level.name(), "the level asked for is the level used");
        bits.to_owned()
    };
    let levels = Level::available();
    let bits: Vec<String> = levels.iter().map(|&level| at(level)).collect();
    assert_eq!(bits[0].split(' ').count(), 2 * batches().len());
    for (level, other) in levels.iter().zip(&bits) {
        assert_eq!(other, &bits[0], "{level} against {}", levels[0]);
    }
}

#[test]
fn an_unknown_level_is_refused_by_name() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["bits::print_fingerprint", "--exact", "--ignored", "--nocapture"])
        .env("ISOLOSS_SIMD", "sse9")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("sse9") && said.contains("avx512"), "{said}");
}
