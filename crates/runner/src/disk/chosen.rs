//! The partition that a path on a disk lies on, where only one can be meant.

use tintype_model::Result;
use tintype_source::connector::ReadImage;
use tintype_source::disk::{Partition, can_be_read, kind_of, partitions};

/// What was found on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    One(Partition),
    /// No partition has that number.
    Absent(u32),
    /// No partition holds a file system that is read.
    Unreadable,
    /// These do, each with what it holds.
    Several(Vec<(Partition, &'static str)>),
}

/// The one with that number; else the only one whose files can be read. A disk's only partition is
/// chosen whatever it holds: opening it says why it is not read.
pub fn choose(image: &dyn ReadImage, wanted: Option<u32>) -> Result<Chosen> {
    let all = partitions(image)?;
    if let Some(number) = wanted {
        let found = all.into_iter().find(|partition| partition.number == number);
        return Ok(found.map_or(Chosen::Absent(number), Chosen::One));
    }
    let (mut readable, is_only) = (Vec::new(), all.len() == 1);
    for partition in all {
        let kind = kind_of(image, &partition)?;
        if is_only || kind.is_some_and(can_be_read) {
            readable.push((partition, kind.unwrap_or_default()));
        }
    }
    Ok(match (readable.pop(), readable.is_empty()) {
        (None, _) => Chosen::Unreadable,
        (Some((partition, _)), true) => Chosen::One(partition),
        (Some(last), false) => {
            readable.push(last);
            Chosen::Several(readable)
        }
    })
}
