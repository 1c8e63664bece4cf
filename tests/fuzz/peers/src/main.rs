//! The fuzzer: libFuzzer around one entry, which `ALDIS_FUZZ_TARGET` names.
#![no_main]

mod entries;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ENTRY: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("ALDIS_FUZZ_TARGET").expect("ALDIS_FUZZ_TARGET names an entry");
    let found = entries::ENTRIES.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no entry `{name}`")).1
});

fuzz_target!(|bytes: &[u8]| ENTRY(bytes));
