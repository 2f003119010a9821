//! Names of what a capture makes in QEMU: all begin with the session's label, and a node's is at
//! most 31 bytes long.

/// Of one session.
#[derive(Clone, Debug)]
pub(crate) struct Names(pub String);

impl Names {
    /// A node that says that a capture is at work.
    pub(crate) fn lock(&self) -> String {
        format!("{}-lock", self.0)
    }

    /// A node that is there while the guest is stopped for the moment of the switch, so that this
    /// can be told from a stop of its owner's.
    pub(crate) fn stop(&self) -> String {
        format!("{}-stop", self.0)
    }

    /// Where the old content goes of what the guest overwrites.
    pub(crate) fn scratch(&self, number: usize) -> String {
        format!("{}-f{number}", self.0)
    }

    /// The filter that copies it there.
    pub(crate) fn filter(&self, number: usize) -> String {
        format!("{}-c{number}", self.0)
    }

    /// The disk as it was.
    pub(crate) fn view(&self, number: usize) -> String {
        format!("{}-a{number}", self.0)
    }

    /// A disk of nothing, to get a bitmap with a known bit from.
    pub(crate) fn canary(&self, number: usize) -> String {
        format!("{}-n{number}", self.0)
    }

    pub(crate) fn export(&self, number: usize) -> String {
        format!("{}-e{number}", self.0)
    }

    /// The bitmap that records while a capture is at work.
    pub(crate) fn new_bitmap(&self) -> String {
        format!("{}-new", self.0)
    }
}

/// Whether a bitmap belongs to a capture that is, or was, at work.
pub(crate) fn is_new_bitmap(name: &str) -> bool {
    name.ends_with("-new")
}
