//! How far reading has come: one line on a terminal's stderr while it lasts, and elsewhere only what it waits for.

use super::tell;
use crate::services::{Progress, ServiceId};
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often the line is brought up to date.
const TICK: Duration = Duration::from_millis(80);

/// Does some work, and shows meanwhile how far each service (by its title) has come.
pub async fn shown<T>(services: &[(&'static str, Progress)], terminal: bool, work: impl Future<Output = T>) -> T {
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(super::progress::template("{spinner:.green} {msg}  {elapsed}"));
    let mut clock = tokio::time::interval(TICK);
    let mut told = BTreeSet::new();
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = clock.tick() => {
                for (title, _) in services.iter().filter(|(_, progress)| progress.has_waited()) {
                    if told.insert(*title) {
                        bar.suspend(|| tell(&format!("{title}: waiting for what another nornplan writes\n")));
                    }
                }
                if let Some(line) = line(services) {
                    bar.set_message(line);
                    bar.tick();
                }
            }
        }
    };
    bar.finish_and_clear();
    result
}

/// `reading PostgreSQL 37/100 databases`; nothing while nothing is counted, or all is read.
fn line(services: &[(&'static str, Progress)]) -> Option<String> {
    let each = services.iter().filter_map(|(title, progress)| {
        let (done, all) = progress.so_far();
        let what = if *title == ServiceId::Kafka.title() { "sign-ins" } else { "databases" };
        (done < all).then(|| format!("{title} {done}/{all} {what}"))
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| format!("reading {}", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_what_is_left() {
        let progress = Progress::default();
        let services = [("PostgreSQL", progress.clone()), ("Valkey", Progress::default())];
        assert_eq!(line(&services), None);
        progress.begin(2);
        progress.advance();
        assert_eq!(line(&services).as_deref(), Some("reading PostgreSQL 1/2 databases"));
        progress.advance();
        assert_eq!(line(&services), None);
    }
}
