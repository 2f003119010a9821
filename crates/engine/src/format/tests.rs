//! Sealed objects: what was changed anywhere is refused.

use proptest::prelude::*;

use super::frame::{FrameHead, Kind, Placed};
use super::object::{ObjectType, Place, open_bytes, seal_bytes};
use crate::crypto::keys::{Keys, MasterKey};
use crate::env::testing::manual;
use crate::id::RandomId;

fn keys() -> Keys {
    Keys::new(MasterKey([9; 32]))
}

fn place<'k>(keys: &'k Keys, object_type: ObjectType, name: &'k str) -> Place<'k> {
    Place { keys, repository: RandomId([1; 16]), object_type, name }
}

proptest! {
    #[test]
    fn any_change_of_an_object_is_refused(
        raw in proptest::collection::vec(any::<u8>(), 0..600),
        at: usize,
        flip in 1..=255u8,
    ) {
        let keys = keys();
        let place = place(&keys, ObjectType::Fate, "fate/x");
        let sealed = seal_bytes(&place, Kind::Json, &raw, &manual(3).0).unwrap();
        prop_assert_eq!(open_bytes(&place, Kind::Json, sealed.clone()).unwrap(), raw);
        let at = at % sealed.len();
        let mut changed = sealed.clone();
        changed[at] ^= flip;
        prop_assert!(open_bytes(&place, Kind::Json, changed).is_err());
        prop_assert!(open_bytes(&place, Kind::Json, sealed[..at].to_vec()).is_err());
        let longer = [&sealed[..], &sealed[at..]].concat();
        prop_assert!(open_bytes(&place, Kind::Json, longer).is_err());
    }

    #[test]
    fn frame_headers_are_refused_or_come_back(bytes: [u8; 48], kind in 0..10u8, codec in 0..4u8) {
        let mut likely = bytes;
        likely[..4].copy_from_slice(&[kind, codec, 0, 0]);
        likely[6..8].fill(0);
        likely[10..16].fill(0);
        for bytes in [bytes, likely] {
            if let Ok(head) = FrameHead::decode(&bytes) {
                prop_assert_eq!(head.encode(), bytes);
            }
            let _ = Placed::decode(&bytes);
        }
    }

    #[test]
    fn noise_is_no_object(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let keys = keys();
        let place = place(&keys, ObjectType::Fate, "fate/x");
        prop_assert!(open_bytes(&place, Kind::Json, noise).is_err());
    }
}

#[test]
fn an_object_belongs_to_its_name_type_kind_and_repository() {
    let (keys, other_keys) = (keys(), Keys::new(MasterKey([8; 32])));
    let own = place(&keys, ObjectType::Fate, "fate/x");
    let sealed = seal_bytes(&own, Kind::Json, b"{}", &manual(3).0).unwrap();
    let others = [
        place(&keys, ObjectType::Fate, "fate/y"),
        place(&keys, ObjectType::Session, "fate/x"),
        Place { repository: RandomId([2; 16]), ..place(&keys, ObjectType::Fate, "fate/x") },
        place(&other_keys, ObjectType::Fate, "fate/x"),
    ];
    for other in &others {
        assert!(open_bytes(other, Kind::Json, sealed.clone()).is_err());
    }
    assert!(open_bytes(&own, Kind::IndexBlock, sealed.clone()).is_err());
    assert!(open_bytes(&own, Kind::Json, sealed).is_ok());
}
