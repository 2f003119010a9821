//! Calls of the kernel that rustix has no safe form for: freezing, btrfs, loop devices. Each is
//! wrapped so that what is unsafe about it (the shape of its argument) is decided here.
#![expect(unsafe_code, reason = "the shape of an ioctl's argument is a promise to the kernel")]

use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, NoArg, Opcode, Updater, ioctl, opcode};

type Result<T> = std::result::Result<T, Errno>;

const FIFREEZE: Opcode = opcode::read_write::<c_int>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<c_int>(b'X', 120);

/// Writers of the file system wait until [`thaw`]. `EBUSY`: somebody else froze it.
pub(super) fn freeze(directory: impl AsFd) -> Result<()> {
    // SAFETY: the argument is not looked at.
    unsafe { ioctl(directory, NoArg::<FIFREEZE>::new()) }
}

/// `EINVAL`: it is not frozen.
pub(super) fn thaw(directory: impl AsFd) -> Result<()> {
    // SAFETY: the argument is not looked at.
    unsafe { ioctl(directory, NoArg::<FITHAW>::new()) }
}

#[repr(C)]
struct CloneRange {
    source: i64,
    source_offset: u64,
    length: u64,
    target_offset: u64,
}

/// Shares a range of a file with another one: shows that the file system can.
pub(super) fn clone_range(target: impl AsFd, source: impl AsFd, length: u64) -> Result<()> {
    const FICLONERANGE: Opcode = opcode::write::<CloneRange>(0x94, 13);
    let source = i64::from(source.as_fd().as_raw_fd());
    let mut range = CloneRange { source, source_offset: 0, length, target_offset: 0 };
    // SAFETY: `struct file_clone_range` of linux/fs.h.
    unsafe { ioctl(target, Updater::<FICLONERANGE, _>::new(&mut range)) }
}

const BTRFS: u8 = 0x94;

/// Longest name of a subvolume that these calls take.
const SUBVOLUME_NAME: usize = 255;

#[repr(C)]
struct VolumeArguments {
    fd: i64,
    name: [u8; 4088],
}

#[repr(C)]
struct VolumeArguments2 {
    fd: i64,
    transid: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

fn put_name<const N: usize>(name: &[u8]) -> Result<[u8; N]> {
    if name.is_empty() || name.len() > SUBVOLUME_NAME || name.contains(&0) || name.contains(&b'/') {
        return Err(Errno::INVAL);
    }
    let mut field = [0; N];
    field[..name.len()].copy_from_slice(name);
    Ok(field)
}

/// Makes a read-only snapshot of a subvolume.
pub(super) fn snapshot(subvolume: impl AsFd, directory: impl AsFd, name: &[u8]) -> Result<()> {
    const SNAP_CREATE_V2: Opcode = opcode::write::<VolumeArguments2>(BTRFS, 23);
    const READ_ONLY: u64 = 2;
    let fd = i64::from(subvolume.as_fd().as_raw_fd());
    let name = put_name(name)?;
    let mut arguments = VolumeArguments2 { fd, transid: 0, flags: READ_ONLY, unused: [0; 4], name };
    // SAFETY: `struct btrfs_ioctl_vol_args_v2` of linux/btrfs.h.
    unsafe { ioctl(directory, Updater::<SNAP_CREATE_V2, _>::new(&mut arguments)) }
}

pub(super) fn create_subvolume(directory: impl AsFd, name: &[u8]) -> Result<()> {
    const SUBVOL_CREATE: Opcode = opcode::write::<VolumeArguments>(BTRFS, 14);
    let mut arguments = VolumeArguments { fd: 0, name: put_name(name)? };
    // SAFETY: `struct btrfs_ioctl_vol_args` of linux/btrfs.h.
    unsafe { ioctl(directory, Updater::<SUBVOL_CREATE, _>::new(&mut arguments)) }
}

pub(super) fn destroy_subvolume(directory: impl AsFd, name: &[u8]) -> Result<()> {
    const SNAP_DESTROY: Opcode = opcode::write::<VolumeArguments>(BTRFS, 15);
    let mut arguments = VolumeArguments { fd: 0, name: put_name(name)? };
    // SAFETY: `struct btrfs_ioctl_vol_args` of linux/btrfs.h.
    unsafe { ioctl(directory, Updater::<SNAP_DESTROY, _>::new(&mut arguments)) }
}

/// `struct btrfs_ioctl_get_subvol_info_args`.
#[repr(C)]
#[derive(Clone)]
struct SubvolumeInfo {
    id: u64,
    name: [u8; SUBVOLUME_NAME + 1],
    parent: u64,
    directory: u64,
    generation: u64,
    flags: u64,
    uuid: [u8; 16],
    parent_uuid: [u8; 16],
    received_uuid: [u8; 16],
    transactions: [u64; 4],
    times: [[u64; 2]; 4],
    reserved: [u64; 8],
}

/// What btrfs says of a subvolume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subvolume {
    pub id: u64,
    pub generation: u64,
    pub is_read_only: bool,
    pub uuid: [u8; 16],
    /// That it is a snapshot of; zeros if it is none.
    pub parent_uuid: [u8; 16],
    /// Transaction in which it was made: the later, the greater.
    pub made: u64,
}

/// Of the subvolume that a file lies in.
pub(super) fn subvolume(fd: impl AsFd) -> Result<Subvolume> {
    const GET_SUBVOL_INFO: Opcode = opcode::read::<SubvolumeInfo>(BTRFS, 60);
    // Of the root item, not that of the calls which set it.
    const READ_ONLY: u64 = 1;
    let mut info = SubvolumeInfo {
        id: 0,
        name: [0; SUBVOLUME_NAME + 1],
        parent: 0,
        directory: 0,
        generation: 0,
        flags: 0,
        uuid: [0; 16],
        parent_uuid: [0; 16],
        received_uuid: [0; 16],
        transactions: [0; 4],
        times: [[0; 2]; 4],
        reserved: [0; 8],
    };
    // SAFETY: `struct btrfs_ioctl_get_subvol_info_args` of linux/btrfs.h; any bytes are valid.
    unsafe { ioctl(fd, Updater::<GET_SUBVOL_INFO, _>::new(&mut info)) }?;
    Ok(Subvolume {
        id: info.id,
        generation: info.generation,
        is_read_only: info.flags & READ_ONLY != 0,
        uuid: info.uuid,
        parent_uuid: info.parent_uuid,
        made: info.transactions[1],
    })
}

const MOST_REFS: usize = 255;

#[repr(C)]
struct RootRefs {
    least: u64,
    refs: [[u64; 2]; MOST_REFS],
    count: u8,
    align: [u8; 7],
}

/// The subvolumes directly inside of one: each id, and the inode of the directory that holds it.
pub(super) fn children(subvolume: impl AsFd) -> Result<Vec<(u64, u64)>> {
    const GET_SUBVOL_ROOTREF: Opcode = opcode::read_write::<RootRefs>(BTRFS, 61);
    let mut found = Vec::new();
    let mut refs = RootRefs { least: 0, refs: [[0; 2]; MOST_REFS], count: 0, align: [0; 7] };
    loop {
        // SAFETY: `struct btrfs_ioctl_get_subvol_rootref_args` of linux/btrfs.h.
        let result = unsafe { ioctl(&subvolume, Updater::<GET_SUBVOL_ROOTREF, _>::new(&mut refs)) };
        let count = usize::from(refs.count).min(MOST_REFS);
        found.extend(refs.refs[..count].iter().map(|[id, directory]| (*id, *directory)));
        match result {
            // There are more; `least` was moved behind those that were given.
            Err(Errno::OVERFLOW) if count > 0 => {}
            Err(errno) => return Err(errno),
            Ok(()) => return Ok(found),
        }
    }
}

#[repr(C)]
struct Lookup {
    directory: u64,
    id: u64,
    name: [u8; SUBVOLUME_NAME + 1],
    path: [u8; 4080 - SUBVOLUME_NAME - 1],
}

/// Path of a subvolume below the one that holds it, of which `fd` is the top.
pub(super) fn child_path(fd: impl AsFd, id: u64, directory: u64) -> Result<Vec<u8>> {
    const INO_LOOKUP_USER: Opcode = opcode::read_write::<Lookup>(BTRFS, 62);
    let mut lookup = Lookup {
        directory,
        id,
        name: [0; SUBVOLUME_NAME + 1],
        path: [0; 4080 - SUBVOLUME_NAME - 1],
    };
    // SAFETY: `struct btrfs_ioctl_ino_lookup_user_args` of linux/btrfs.h.
    unsafe { ioctl(fd, Updater::<INO_LOOKUP_USER, _>::new(&mut lookup)) }?;
    let mut path = until_nul(&lookup.path).to_vec();
    while path.last() == Some(&b'/') {
        path.pop();
    }
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(until_nul(&lookup.name));
    Ok(path)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len())]
}

#[repr(C)]
struct Send {
    target: i64,
    clone_sources_count: u64,
    clone_sources: u64,
    parent: u64,
    flags: u64,
    version: u32,
    reserved: [u8; 28],
}

/// Writes what differs between two read-only snapshots, without file contents, as a stream of
/// version 1.
pub(super) fn send(snapshot: impl AsFd, parent_id: u64, target: BorrowedFd<'_>) -> Result<()> {
    const SEND: Opcode = opcode::write::<Send>(BTRFS, 38);
    const NO_FILE_DATA: u64 = 1;
    let mut arguments = Send {
        target: i64::from(target.as_raw_fd()),
        clone_sources_count: 0,
        clone_sources: 0,
        parent: parent_id,
        flags: NO_FILE_DATA,
        version: 0,
        reserved: [0; 28],
    };
    // SAFETY: `struct btrfs_ioctl_send_args` of linux/btrfs.h; there are no clone sources to
    // point to.
    unsafe { ioctl(snapshot, Updater::<SEND, _>::new(&mut arguments)) }
}

/// The kernel gives no more than this.
const PATHS_BYTES: usize = 4096;

#[repr(C)]
struct Paths {
    bytes_left: u32,
    bytes_missing: u32,
    count: u32,
    missed: u32,
    values: [u8; PATHS_BYTES],
}

#[repr(C)]
struct InodePaths {
    inode: u64,
    size: u64,
    reserved: [u64; 4],
    paths: u64,
}

/// All names of an inode in the subvolume of `fd`, as paths below its top. `EOVERFLOW`: they are
/// more than the kernel gives.
pub(super) fn paths_of(fd: impl AsFd, inode: u64) -> Result<Vec<Vec<u8>>> {
    const INO_PATHS: Opcode = opcode::read_write::<InodePaths>(BTRFS, 35);
    let mut paths =
        Box::new(Paths { bytes_left: 0, bytes_missing: 0, count: 0, missed: 0, values: [0; _] });
    let mut arguments = InodePaths {
        inode,
        size: size_of::<Paths>() as u64,
        reserved: [0; 4],
        paths: std::ptr::from_mut::<Paths>(&mut paths) as u64,
    };
    // SAFETY: `struct btrfs_ioctl_ino_path_args` of linux/btrfs.h; `paths` lives on and is as long
    // as `size` says.
    unsafe { ioctl(fd, Updater::<INO_PATHS, _>::new(&mut arguments)) }?;
    if paths.missed > 0 || paths.bytes_missing > 0 {
        return Err(Errno::OVERFLOW);
    }
    let value = |index: usize| {
        let bytes = paths.values.get(index * 8..index * 8 + 8)?;
        let offset = u64::from_le_bytes(bytes.try_into().ok()?);
        paths.values.get(usize::try_from(offset).ok()?..).map(|path| until_nul(path).to_vec())
    };
    (0..paths.count as usize).map(|index| value(index).ok_or(Errno::PROTO)).collect()
}

#[repr(C)]
#[derive(Clone)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

const NO_LOOP: LoopInfo = LoopInfo {
    device: 0,
    inode: 0,
    rdevice: 0,
    offset: 0,
    size_limit: 0,
    number: 0,
    encrypt_type: 0,
    encrypt_key_size: 0,
    flags: 0,
    file_name: [0; 64],
    crypt_name: [0; 64],
    encrypt_key: [0; 32],
    init: [0; 2],
};

#[repr(C)]
struct LoopConfiguration {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// What a loop device shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoopState {
    pub inode: u64,
    pub offset: u64,
    pub size_limit: u64,
}

pub(super) fn loop_state(device: impl AsFd) -> Result<LoopState> {
    const LOOP_GET_STATUS64: Opcode = 0x4c05;
    let mut info = NO_LOOP;
    // SAFETY: `struct loop_info64` of linux/loop.h; any bytes are valid.
    unsafe { ioctl(device, Updater::<LOOP_GET_STATUS64, _>::new(&mut info)) }?;
    Ok(LoopState { inode: info.inode, offset: info.offset, size_limit: info.size_limit })
}

struct GetFree;

// SAFETY: LOOP_CTL_GET_FREE has no argument and answers with a number.
unsafe impl Ioctl for GetFree {
    type Output = u32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        0x4c82
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> Result<u32> {
        Ok(output as u32)
    }
}

/// Number of a loop device that nobody uses now.
pub(super) fn free_loop(control: impl AsFd) -> Result<u32> {
    // SAFETY: see its implementation.
    unsafe { ioctl(control, GetFree) }
}

/// Lets a free loop device show a file, read-only; it becomes free again when nobody has it open
/// and it is not mounted. `EBUSY`: somebody else was quicker.
pub(super) fn set_loop(
    device: impl AsFd,
    file: impl AsFd,
    offset: u64,
    size_limit: u64,
    block_size: u32,
) -> Result<()> {
    const LOOP_CONFIGURE: Opcode = 0x4c0a;
    const READ_ONLY: u32 = 1;
    const AUTOCLEAR: u32 = 4;
    let info = LoopInfo { offset, size_limit, flags: READ_ONLY | AUTOCLEAR, ..NO_LOOP };
    let fd = file.as_fd().as_raw_fd() as u32;
    let mut configuration = LoopConfiguration { fd, block_size, info, reserved: [0; 8] };
    // SAFETY: `struct loop_config` of linux/loop.h.
    unsafe { ioctl(device, Updater::<LOOP_CONFIGURE, _>::new(&mut configuration)) }
}

/// The kernel's sizes of what is handed to it.
const _: () = {
    assert!(size_of::<VolumeArguments>() == 4096);
    assert!(size_of::<VolumeArguments2>() == 4096);
    assert!(size_of::<SubvolumeInfo>() == 504);
    assert!(size_of::<RootRefs>() == 4096);
    assert!(size_of::<Lookup>() == 4096);
    assert!(size_of::<Send>() == 72);
    assert!(size_of::<InodePaths>() == 56);
    assert!(size_of::<LoopInfo>() == 232);
    assert!(size_of::<LoopConfiguration>() == 304);
};
