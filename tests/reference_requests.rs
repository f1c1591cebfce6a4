//! Every case measured on the reference simulator comes out equal to the last bit, request by request.

mod reference;
mod shared;

#[test]
fn every_request_of_every_case_is_as_measured() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let cases = reference::check_all(&shared.join("reference/requests"));
    assert!(cases.len() >= 39, "{cases:?}");
}
