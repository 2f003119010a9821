//! What lies on a partition, by what stands at the places where each puts its name.

use tintype_model::Result;

use super::Partition;
use crate::connector::ReadImage;

/// All names stand before this.
const HEAD_BYTES: u64 = (64 << 10) + 512;

/// Name, where it stands, and what.
const KNOWN: [(&str, usize, &[u8]); 18] = [
    ("ext4", 0x438, &[0x53, 0xef]),
    ("btrfs", 0x1_0040, b"_BHRfS_M"),
    ("xfs", 0, b"XFSB"),
    ("ntfs", 3, b"NTFS    "),
    ("exfat", 3, b"EXFAT   "),
    ("f2fs", 0x400, &[0x10, 0x20, 0xf5, 0xf2]),
    ("iso9660", 0x8001, b"CD001"),
    ("squashfs", 0, b"hsqs"),
    ("an encrypted device (LUKS)", 0, b"LUKS\xba\xbe"),
    ("a volume group of LVM", 0x218, b"LVM2 001"),
    ("a volume group of LVM", 0x18, b"LVM2 001"),
    ("a member of a RAID", 0, &[0xfc, 0x4e, 0x2b, 0xa9]),
    ("a member of a RAID", 0x1000, &[0xfc, 0x4e, 0x2b, 0xa9]),
    ("swap space", 4086, b"SWAPSPACE2"),
    ("swap space", 4086, b"SWAP-SPACE"),
    ("an image of the format qcow2", 0, b"QFI\xfb"),
    ("an image of the format vmdk", 0, b"KDMV"),
    ("an image of the format vhdx", 0, b"vhdxfile"),
];

/// Whether [`super::open`] reads files of this kind.
pub fn can_be_read(kind: &str) -> bool {
    matches!(kind, "ext4" | "fat")
}

/// What a partition holds; none if it is nothing that is known.
pub fn kind_of(image: &dyn ReadImage, partition: &Partition) -> Result<Option<&'static str>> {
    let size = partition.range.end - partition.range.start;
    let mut head = vec![0; HEAD_BYTES.min(size) as usize];
    image.read_at(partition.range.start, &mut head)?;
    Ok(of_head(&head))
}

pub(super) fn of_head(head: &[u8]) -> Option<&'static str> {
    let is = |at: usize, text: &[u8]| head.get(at..at + text.len()) == Some(text);
    // A member of a RAID may show the file system that it mirrors; the mark of the RAID is first.
    let known = |kind: &str| kind.starts_with("a member");
    let raid = KNOWN.iter().find(|(kind, at, text)| known(kind) && is(*at, text));
    if let Some((kind, ..)) = raid.or_else(|| KNOWN.iter().find(|(_, at, text)| is(*at, text))) {
        return Some(kind);
    }
    // A jump, a sector size, and the mark at the end of the sector.
    let jumps = head.first().is_some_and(|byte| matches!(byte, 0xeb | 0xe9));
    let sector = head.get(11..13).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let is_fat = is(54, b"FAT") || is(82, b"FAT32");
    (jumps && matches!(sector, 512 | 1024 | 2048 | 4096) && is(510, &[0x55, 0xaa]) && is_fat)
        .then_some("fat")
}
