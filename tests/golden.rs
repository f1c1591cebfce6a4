//! The cases committed under `golden/`: figures measured on the reference simulator.

mod reference;

#[test]
fn every_golden_case_is_as_measured() {
    let cases = reference::check_all(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden").as_ref());
    assert!(cases.len() >= 22, "{cases:?}");
}
