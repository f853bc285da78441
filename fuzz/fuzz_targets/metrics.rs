#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| charlstm_fuzz::metrics::check(bytes));
