//! How far a long piece of work has come: a line on a terminal's stderr while it lasts; elsewhere a plain line when it
//! begins, and one now and then.

use super::{clean, tell};
use crate::services::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish};
use std::time::Duration;

/// How often a line on a terminal is brought up to date.
const TICK: Duration = Duration::from_millis(120);
/// How often it is said elsewhere.
const NOW_AND_THEN: Duration = Duration::from_secs(15);

/// The display of works that may go on side by side.
#[derive(Debug)]
pub struct Working {
    lines: Option<MultiProgress>,
}

impl Working {
    pub fn new(terminal: bool) -> Self {
        Self { lines: terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())) }
    }

    /// Does some work, and shows meanwhile what `text` makes of how far it has come (so much, of how much).
    pub async fn shown<T>(
        &self,
        progress: &Progress,
        text: impl Fn(usize, usize) -> String,
        work: impl Future<Output = T>,
    ) -> T {
        let line = self.lines.as_ref().map(|lines| {
            let line = lines.add(ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear));
            line.set_style(super::progress::template("{spinner:.green} {msg}  {elapsed}"));
            line
        });
        let mut clock = tokio::time::interval(if line.is_some() { TICK } else { NOW_AND_THEN });
        tokio::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = clock.tick() => {
                    let (done, all) = progress.so_far();
                    let text = clean(&text(done, all));
                    match &line {
                        Some(line) => {
                            line.set_message(text);
                            line.tick();
                        }
                        None => tell(&format!("{text}\n")),
                    }
                }
            }
        };
        drop(line);
        result
    }

    /// Writes something between the lines of the works that go on.
    pub fn between<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.lines {
            Some(lines) => lines.suspend(write),
            None => write(),
        }
    }
}

/// `shop: dumping, 3.4 MB of a database of 12.0 MB`: the file that grows beside what it is made of, which indexes and
/// compression keep it from ever reaching.
pub fn dumping(database: &str, written: usize, size: usize) -> String {
    if written == 0 {
        return format!("{database}: dumping");
    }
    let [written, size] = [written, size].map(|bytes| super::bytes(u64::try_from(bytes).unwrap_or(u64::MAX)));
    format!("{database}: dumping, {written} of a database of {size}")
}

/// `shop: restoring, 3 of 12 entries`
pub fn restoring(database: &str, done: usize, all: usize) -> String {
    if all == 0 {
        return format!("{database}: restoring");
    }
    format!("{database}: restoring, {} of {}", done.min(all), super::count(all, "entry", "entries"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_say_how_far_they_have_come() {
        assert_eq!(dumping("x", 0, 9_000_000), "x: dumping");
        assert_eq!(dumping("x", 3_400_000, 12_000_000), "x: dumping, 3.4 MB of a database of 12.0 MB");
        assert_eq!(
            (restoring("x", 0, 0), restoring("x", 14, 12)),
            ("x: restoring".into(), "x: restoring, 12 of 12 entries".into())
        );
    }
}
