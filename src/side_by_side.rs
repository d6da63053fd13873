//! Does the same to many things, on all processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

/// Fewer than this for each processor are done sooner than a thread is started.
const WORTH_A_THREAD: usize = 100;

/// What the work makes of each item, in the order of the items.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = processors.min(items.len() / WORTH_A_THREAD);
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let some = items.chunks(items.len().div_ceil(threads));
        let running: Vec<_> = some.map(|some| scope.spawn(move || some.iter().map(work).collect::<Vec<R>>())).collect();
        let done = running.into_iter().map(|running| running.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_however_many_there_are() {
        for count in [0, 1, WORTH_A_THREAD * 2 - 1, WORTH_A_THREAD * 7 + 3] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = (0..count).map(|item| item * 2).collect();
            assert_eq!(map(&items, |item| item * 2), doubled);
        }
    }
}
