//! Deleting what a committed gc record names (format.md §11.5, step 8). Idempotent: names are
//! never reused, so anyone may do it again.

use std::collections::HashSet;

use tintype_model::{ErrorKind, Result};

use crate::backend::list_all;
use crate::format::object::ObjectType;
use crate::format::records::{GcRecord, Retired, names};
use crate::repo::Repository;

impl Repository {
    /// Gives how many objects were deleted.
    pub(crate) fn finish_deletions(&self, record: &GcRecord) -> Result<u64> {
        let delete = &record.delete;
        if !delete.retire.is_empty() {
            let list = Retired { sessions: delete.retire.clone() };
            match self.put_json(ObjectType::Retired, &names::retired(record.session), &list) {
                Err(error) if !error.is(ErrorKind::AlreadyExists) => return Err(error),
                _ => {}
            }
        }
        let mut deleted = 0;
        let present = self.present(&delete.objects)?;
        for name in delete.objects.iter().filter(|name| present.contains(*name)) {
            self.backend.delete(name)?;
            if name.starts_with("fate/") {
                self.cache.forget_object(name);
            }
            deleted += 1;
        }
        deleted += self.delete_outdated("condemned/", |name| {
            let seq = name.split('/').nth(1)?.parse::<u32>().ok()?;
            (seq < record.seq).then_some(())
        })?;
        deleted += self.delete_outdated("gc/", |name| {
            names::parse_number(name).filter(|seq| *seq < record.seq).map(|_| ())
        })?;
        Ok(deleted)
    }

    /// In ascending order of names: never leaves a higher record without the newest.
    fn delete_outdated(&self, prefix: &str, is_old: impl Fn(&str) -> Option<()>) -> Result<u64> {
        let mut deleted = 0;
        for listed in list_all(&*self.backend, prefix)? {
            if is_old(&listed.name).is_some() {
                self.backend.delete(&listed.name)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Which of these exist: so that a second time costs listings, not deletions.
    fn present(&self, objects: &[String]) -> Result<HashSet<String>> {
        let prefixes: HashSet<&str> =
            objects.iter().filter_map(|name| name.find('/').map(|at| &name[..=at])).collect();
        let mut present = HashSet::new();
        for prefix in prefixes {
            self.backend.list(prefix, &mut |listed| {
                present.insert(listed.name);
                Ok(())
            })?;
        }
        Ok(present)
    }
}
