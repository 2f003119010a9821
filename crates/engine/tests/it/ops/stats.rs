//! What a repository says of itself.

use tintype_engine::cancel::Cancel;

use super::*;

#[test]
fn new_and_unique_bytes_of_snapshots() {
    let (memory, repository, clock) = repository(4);
    let mut files = sample(40);
    for number in 0..3u64 {
        clock.advance(std::time::Duration::from_mins(1));
        files.insert(b"files/own".to_vec(), File::of(noise(77 + number, 200 * CHUNK)));
        snapshot(&repository, &files);
    }
    let stats = repository.stats(true, 2, &Cancel::default()).unwrap();
    assert_eq!(stats.total.bytes, memory.size_bytes());
    assert_eq!(stats.objects["fate"].count, 3);
    assert_eq!(stats.objects["keys"].count, 2);
    let bytes = |files: &Files| files.values().map(|f| f.content.len() as u64).sum::<u64>();
    assert_eq!(stats.logical_bytes, 3 * bytes(&files));
    assert!(stats.ratio.unwrap() > 1.0, "{:?}", stats.ratio);
    assert!(stats.frames["chunk"].raw_bytes >= 600 * CHUNK as u64);
    let [first, second, third] = &stats.snapshots[..] else { panic!("three snapshots") };
    let own = 200 * CHUNK as u64;
    assert!(first.new_bytes.unwrap() > second.new_bytes.unwrap());
    for snapshot in [first, second, third] {
        let unique = snapshot.unique_bytes.unwrap();
        assert!((own..own + own / 4).contains(&unique), "{unique}");
    }
    assert_eq!(second.new_bytes, second.unique_bytes);
    let quick = repository.stats(false, 2, &Cancel::default()).unwrap();
    assert_eq!(quick.snapshots[0].unique_bytes, None);
}
