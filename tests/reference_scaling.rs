//! The cases measured on the reference's scaling manager give the same scaling log, and every request
//! within 0.1 ms.

mod reference;
mod shared;

#[test]
fn scaling_and_every_request_are_as_measured() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let cases = reference::check_all(&shared.join("reference/scaling"));
    assert!(cases.len() >= 2, "{cases:?}");
}
