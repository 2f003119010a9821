//! When a store will be full, judged by how it filled so far.

use jiff::{SignedDuration, Timestamp};

/// Older points say little about what comes.
const LOOKED_AT: SignedDuration = SignedDuration::from_hours(24 * 60);
/// Shorter stretches say nothing.
const LEAST: SignedDuration = SignedDuration::from_hours(24);
const LEAST_POINTS: usize = 3;
/// Whatever is later is not foretold.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 365 * 5);

/// What was free at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub time: Timestamp,
    pub free_bytes: u64,
}

/// What is still to come into a store that holds `used_bytes`: of each resource its whole content
/// once. That compresses, and what is the same is kept once; it changes, and changes are kept too.
pub fn needed_bytes(content_bytes: &[u64], used_bytes: u64) -> u64 {
    let all = content_bytes.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
    all.saturating_sub(used_bytes)
}

/// The moment at which nothing will be free: the line with the least squares through what was free
/// in the last sixty days. None where it does not fill, or too little is known.
pub fn full_at(history: &[Point], now: Timestamp) -> Option<Timestamp> {
    let age = |point: &Point| now.duration_since(point.time);
    let known: Vec<(f64, f64)> = history
        .iter()
        .filter(|point| (SignedDuration::ZERO..=LOOKED_AT).contains(&age(point)))
        .map(|point| (-age(point).as_secs_f64(), point.free_bytes as f64))
        .collect();
    let times = || known.iter().map(|(time, _)| *time);
    let span = times().fold(f64::MIN, f64::max) - times().fold(f64::MAX, f64::min);
    if known.len() < LEAST_POINTS || span < LEAST.as_secs_f64() {
        return None;
    }
    let count = known.len() as f64;
    let mean_time = times().sum::<f64>() / count;
    let mean_free = known.iter().map(|(_, free)| free).sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (time, free) in &known {
        above += (time - mean_time) * (free - mean_free);
        below += (time - mean_time).powi(2);
    }
    let slope = above / below;
    if slope >= 0.0 {
        return None;
    }
    // Where the line meets zero, in seconds from now.
    let seconds = mean_time - mean_free / slope;
    let ahead = SignedDuration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    (ahead <= FARTHEST).then(|| now.checked_add(ahead).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(number * 86_400).unwrap()
    }

    fn points(free: impl Fn(i64) -> i64, days: std::ops::Range<i64>) -> Vec<Point> {
        days.map(|n| Point { time: day(n), free_bytes: free(n).max(0) as u64 }).collect()
    }

    #[test]
    fn what_fills_evenly_is_foretold_to_the_hour() {
        let history = points(|n| 1_000_000 - 10_000 * n, 0..31);
        let full = full_at(&history, day(30)).unwrap();
        assert!(full.duration_since(day(100)).as_secs().abs() < 3600, "{full}");
    }

    #[test]
    fn what_does_not_fill_is_never_full() {
        assert_eq!(full_at(&points(|_| 1000, 0..31), day(30)), None);
        assert_eq!(full_at(&points(|n| 1000 + n, 0..31), day(30)), None);
        // In a hundred years.
        assert_eq!(full_at(&points(|n| 1_000_000_000 - n, 0..31), day(30)), None);
    }

    #[test]
    fn too_little_is_known() {
        assert_eq!(full_at(&[], day(1)), None);
        assert_eq!(full_at(&points(|n| 1000 - n, 0..2), day(2)), None);
        let hours = (0..5).map(|n| Point {
            time: Timestamp::from_second(n * 3600).unwrap(),
            free_bytes: 1000 - n as u64,
        });
        assert_eq!(full_at(&hours.collect::<Vec<_>>(), day(1)), None);
        // Of a clock that was ahead, and of years ago.
        let mut odd = points(|n| 1_000_000 - 10_000 * n, 0..31);
        odd.push(Point { time: day(5000), free_bytes: 0 });
        assert_eq!(full_at(&odd, day(4000)), None);
        assert!(full_at(&odd, day(30)).is_some());
    }

    #[test]
    fn each_content_comes_once() {
        for (content, used, expected) in [
            (&[][..], 0, 0),
            (&[5, 7], 0, 12),
            (&[5, 7], 10, 2),
            (&[5, 7], 100, 0),
            (&[u64::MAX, 7], 7, u64::MAX - 7),
        ] {
            assert_eq!(needed_bytes(content, used), expected, "{content:?} {used}");
        }
    }

    #[test]
    fn what_is_full_is_full_now() {
        let history = points(|n| 100 - 10 * n, 0..20);
        assert!(full_at(&history, day(19)).unwrap() <= day(20));
    }
}
