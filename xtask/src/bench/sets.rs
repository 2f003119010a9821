//! The data sets by letter, and what is done with each.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "UPPER")]
pub(super) enum Set {
    /// 2 GiB incompressible
    A,
    /// Source code
    B,
    /// 500,000 small files
    C,
    /// Sparse disk image
    D,
    /// One folder with a million entries
    E,
    /// Index of 100 million synthetic chunks
    F,
    /// Windows and costs of machines, volumes and databases; by root
    P,
}

impl Set {
    pub(super) fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
            Self::E => 'E',
            Self::F => 'F',
            Self::P => 'P',
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::A => "2 GiB incompressible, 8 files",
            Self::B => "source code: unpacked crates and Go modules",
            Self::C => "500,000 files of 0.1 to 4 KB",
            Self::D => "10 GiB sparse disk image, 2 GiB used",
            Self::E => "one folder with 1 million entries",
            Self::F => "index of 100 million synthetic chunks",
            Self::P => "platform: windows and costs of machines, volumes and databases",
        }
    }

    /// The operations, in the order in which they run on one repository.
    pub(super) fn operations(self) -> &'static [Op] {
        match self {
            Self::B | Self::D => &[Op::First, Op::Unchanged, Op::Changed, Op::Restore],
            Self::F | Self::P => &[],
            Self::A | Self::C | Self::E => &[Op::First, Op::Unchanged, Op::Restore],
        }
    }

    /// Where the repository lies in this set's measurements.
    pub(super) fn media(self) -> &'static [Medium] {
        match self {
            Self::A => &[Medium::Memory, Medium::Disk, Medium::S3],
            Self::B => &[Medium::Memory, Medium::S3],
            _ => &[Medium::Memory],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Op {
    First,
    Unchanged,
    Changed,
    Restore,
}

impl Op {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Unchanged => "unchanged",
            Self::Changed => "1 % changed",
            Self::Restore => "restore",
        }
    }
}

/// What holds the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Medium {
    /// Memory-backed file system
    Memory,
    /// Disk, with every flush the tool asks for
    Disk,
    /// SeaweedFS on loopback, itself on a memory-backed file system
    S3,
}

impl Medium {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Memory => "repository in memory-backed storage",
            Self::Disk => "repository on disk, with fsync",
            Self::S3 => "repository in SeaweedFS on loopback",
        }
    }
}
