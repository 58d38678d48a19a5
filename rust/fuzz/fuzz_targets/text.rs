//! Any bytes that are UTF-8, as the text of a law: parse, evaluate, differentiate, describe, fit, search.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    isoloss_hostile::try_text(text);
});
