#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| any_bytes::jdbc_record(data));
