//! Instruction-set levels: which exist, which this machine has, and how to run code at one.
//!
//! A [`Kernel`] is a function with its arguments. [`Level::run`] holds one copy of it per level, each
//! compiled with that level's instructions, and calls the copy asked for. The choice is made once per
//! kernel, so a kernel should be a whole block of work, never one number.
//!
//! `ISOLOSS_SIMD=baseline|avx2|avx512` overrides the detection; see [`active`].

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// Environment variable that forces a level.
pub const VARIABLE: &str = "ISOLOSS_SIMD";

/// An instruction-set level, from the least to the most capable.
///
/// On other architectures than x86-64, and with the feature `one-level`, only [`Level::Baseline`] is available; on
/// aarch64 it already includes 128-bit vectors and fused multiply-add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What the crate was compiled for. On x86-64 this has no fused multiply-add instruction: each one
    /// is a library call, with the same bits but tens of times slower.
    Baseline,
    /// AVX2 with FMA: four numbers per instruction.
    Avx2,
    /// AVX-512 F, DQ, BW and VL with AVX2 and FMA: eight numbers per instruction.
    Avx512,
}

impl Level {
    /// All levels, least capable first, whether this machine has them or not.
    pub const ALL: [Self; 3] = [Self::Baseline, Self::Avx2, Self::Avx512];

    /// The name used in [`VARIABLE`] and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The most capable level of this machine.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(detect)
    }

    /// Whether this machine can run the level. Levels are nested, so all up to the best are there.
    #[must_use]
    pub fn is_available(self) -> bool {
        self <= Self::best()
    }

    /// The levels of this machine, least capable first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|level| level.is_available()).collect()
    }

    /// Runs a kernel compiled for this level.
    ///
    /// # Panics
    ///
    /// When the machine lacks the level; [`active`] and [`Level::available`] never give such a one.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(self.is_available(), "this machine has no {self}");
        match self {
            Self::Baseline => kernel.run(),
            // SAFETY: the assertion above found AVX2 and FMA on this machine.
            #[cfg(all(target_arch = "x86_64", not(feature = "one-level")))]
            Self::Avx2 => unsafe { run_avx2(kernel) },
            // SAFETY: the assertion above found every feature that `run_avx512` enables.
            #[cfg(all(target_arch = "x86_64", not(feature = "one-level")))]
            Self::Avx512 => unsafe { run_avx512(kernel) },
            #[cfg(not(all(target_arch = "x86_64", not(feature = "one-level"))))]
            Self::Avx2 | Self::Avx512 => unreachable!("refused by the assertion above"),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    /// Reads a level's name, in any case and with blanks around it.
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|level| level.name() == wanted).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown SIMD level {text:?}: expected one of {names}")
        })
    }
}

/// The level all work runs at: [`VARIABLE`] if it is set and not empty, else the best of the machine.
///
/// The variable is read once, at the first call; later changes have no effect.
///
/// # Errors
///
/// A message when the variable names no level, or one that this machine lacks.
pub fn active() -> Result<Level, String> {
    static ACTIVE: OnceLock<Result<Level, String>> = OnceLock::new();
    ACTIVE
        .get_or_init(|| match std::env::var_os(VARIABLE) {
            Some(value) => choose(&value.to_string_lossy()),
            None => Ok(Level::best()),
        })
        .clone()
}

/// The level that a value of [`VARIABLE`] asks for.
fn choose(value: &str) -> Result<Level, String> {
    if value.trim().is_empty() {
        return Ok(Level::best());
    }
    let level: Level = value.parse().map_err(|error| format!("{VARIABLE}: {error}"))?;
    if level.is_available() {
        return Ok(level);
    }
    let names: Vec<_> = Level::available().into_iter().map(Level::name).collect();
    Err(format!("{VARIABLE}={level}: this machine has only {}", names.join(", ")))
}

#[cfg(all(target_arch = "x86_64", not(feature = "one-level")))]
fn detect() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        (false, _) => Level::Baseline,
    }
}

#[cfg(not(all(target_arch = "x86_64", not(feature = "one-level"))))]
fn detect() -> Level {
    Level::Baseline
}

/// A function with its arguments, ready to be compiled at every level.
///
/// `run` must be `#[inline(always)]`, and so must everything it calls that should use the level's
/// instructions. The macro [`dispatch!`](crate::dispatch) writes the type and the implementation.
pub trait Kernel {
    /// What the function returns.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

#[cfg(all(target_arch = "x86_64", not(feature = "one-level")))]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(all(target_arch = "x86_64", not(feature = "one-level")))]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// Writes a function that runs an `#[inline(always)]` function at a level chosen at run time.
///
/// The new function takes a [`Level`] before the arguments of the inlined one. Lifetimes are written out;
/// for type or constant parameters implement [`Kernel`] by hand.
///
/// ```
/// use isoloss_core::simd::{Level, math};
///
/// #[inline(always)]
/// fn exp_each(block: &mut [[f64; 8]]) {
///     for k in 0..block.len() {
///         for lane in 0..8 {
///             block[k][lane] = math::exp(block[k][lane]);
///         }
///     }
/// }
///
/// isoloss_core::dispatch! {
///     /// The exponential of every number of a block.
///     fn exp_block<'a>(block: &'a mut [[f64; 8]]) = exp_each;
/// }
///
/// let mut block = [[0.0; 8]; 4];
/// exp_block(Level::best(), &mut block);
/// assert_eq!(block, [[1.0; 8]; 4]);
/// ```
#[macro_export]
macro_rules! dispatch {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$($life:lifetime),+>)? ($($arg:ident : $type:ty),* $(,)?)
        $(-> $output:ty)? = $inner:path;
    ) => {
        $(#[$meta])*
        $vis fn $name $(<$($life),+>)? (
            level: $crate::simd::Level, $($arg: $type),*
        ) $(-> $output)? {
            struct Call $(<$($life),+>)? { $($arg: $type),* }
            impl $(<$($life),+>)? $crate::simd::Kernel for Call $(<$($life),+>)? {
                type Output = $crate::dispatch!(@output $($output)?);
                #[inline(always)]
                fn run(self) -> Self::Output {
                    $inner($(self.$arg),*)
                }
            }
            level.run(Call { $($arg),* })
        }
    };
    (@output) => { () };
    (@output $output:ty) => { $output };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
            assert_eq!(format!(" {level} ").to_uppercase().parse(), Ok(level));
        }
        let error = "sse9".parse::<Level>().unwrap_err();
        assert!(error.contains("sse9") && error.contains("baseline, avx2, avx512"), "{error}");
    }

    #[test]
    fn levels_of_this_machine_are_nested() {
        let available = Level::available();
        assert_eq!(available[0], Level::Baseline);
        assert_eq!(available.last(), Some(&Level::best()));
        assert!(available.iter().all(|level| level.is_available()));
    }

    #[test]
    fn the_variable_chooses_or_explains() {
        assert_eq!(choose(""), Ok(Level::best()));
        assert_eq!(choose("baseline"), Ok(Level::Baseline));
        assert!(choose("fast").unwrap_err().starts_with("ISOLOSS_SIMD: unknown SIMD level"));
        for level in Level::ALL {
            match choose(level.name()) {
                Ok(chosen) => assert_eq!(chosen, level),
                Err(error) => {
                    assert!(!level.is_available());
                    assert!(error.contains(level.name()) && error.contains("has only baseline"));
                }
            }
        }
    }

    #[inline(always)]
    fn add(x: &[f64], y: &mut [f64]) -> usize {
        for i in 0..x.len() {
            y[i] += x[i];
        }
        x.len()
    }

    #[inline(always)]
    fn clear(y: &mut [f64]) {
        y.fill(0.0);
    }

    crate::dispatch! {
        /// With a result and two borrowed arguments.
        fn add_at<'a, 'b>(x: &'a [f64], y: &'b mut [f64]) -> usize = add;
    }
    crate::dispatch! {
        fn clear_at<'a>(y: &'a mut [f64]) = clear;
    }

    #[test]
    fn dispatched_functions_pass_arguments_and_results() {
        for level in Level::available() {
            let mut y = [1.0, 2.0];
            assert_eq!(add_at(level, &[10.0, 20.0], &mut y), 2);
            assert_eq!(y, [11.0, 22.0]);
            clear_at(level, &mut y);
            assert_eq!(y, [0.0, 0.0]);
        }
    }
}
