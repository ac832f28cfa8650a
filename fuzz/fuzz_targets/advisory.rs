#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| k3sroot_fuzz::advisory(data));
