//! When a broker has seen what was done before: a controller answers earlier than that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::OwnedBinding;
use nornplan::services::kafka::model::Binding;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Waits for an ACL of nobody's: what a broker sees, it sees in order.
pub async fn settled(admin: &Admin) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let principal = format!("User:marker-{}-{number}", std::process::id());
    let marker =
        [OwnedBinding { principal: principal.clone(), binding: Binding::allow("topic", "marker", false, "read") }];
    assert!(admin.create_acls(&marker).await.unwrap().iter().all(Result::is_ok));
    let since = Instant::now();
    while admin.describe_acls(Some(&principal)).await.unwrap().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(30), "the broker sees nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(admin.delete_acls(&marker).await.unwrap().iter().all(Result::is_ok));
}
