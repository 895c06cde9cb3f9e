//! The signature of Standard Webhooks, by the vector that its authors publish.

use lanner::base::secret::Secret;
use lanner::sinks::webhook::sign;

#[test]
fn signature_is_that_of_the_specification() {
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn each_part_is_signed() {
    let sign = |secret: &str, id: &str, time: &str, body: &str| sign(&Secret::new(secret), id, time, body);
    let right = sign("plain words", "a", "1", "b");
    for other in [
        sign("other words", "a", "1", "b"),
        sign("plain words", "x", "1", "b"),
        sign("plain words", "a", "2", "b"),
        sign("plain words", "a", "1", "c"),
    ] {
        assert_ne!(right, other);
    }
}
