//! Seed and number of a random sentence: the fuzzer looks for numbers whose texts reach new code.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|which: (u64, u64)| {
    let (seed, index) = which;
    isoloss_hostile::try_text(&isoloss_hostile::Source::new(seed).text(index));
});
