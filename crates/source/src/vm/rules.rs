//! Rules of a restore as new: what must differ from the original, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tintype_model::plan::Check;
use tintype_model::{Error, Result};

use super::facts::{DiskFacts, Facts};

#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// A whole path.
    pub directory: Option<PathBuf>,
    disks: Option<BTreeSet<String>>,
    pub uuid: Option<String>,
    pub start: bool,
    formats: BTreeMap<String, String>,
    /// By the old address, in small letters.
    pub macs: BTreeMap<String, String>,
    /// By the old name; only where machines are on networks by name.
    pub networks: BTreeMap<String, String>,
    pub replace: BTreeMap<String, String>,
}

impl Rules {
    pub(crate) fn parse(
        rules: &BTreeMap<String, String>,
        facts: &Facts,
        has_networks: bool,
    ) -> Result<Self> {
        let mut parsed = Self::default();
        for (rule, value) in rules {
            let value = value.clone();
            match rule.split_once(':').unwrap_or((rule, "")) {
                ("directory", "") => parsed.directory = Some(value.into()),
                ("disks", "") => {
                    let names = value.split(',').map(|name| name.trim().to_owned());
                    parsed.disks = Some(names.collect());
                }
                ("uuid", "") => parsed.uuid = Some(value),
                ("start", "") => parsed.start = yes_or_no(rule, &value)?,
                ("format", disk) => drop(parsed.formats.insert(disk.to_owned(), value)),
                ("mac", old) => drop(parsed.macs.insert(old.to_ascii_lowercase(), value)),
                ("network", old) if has_networks => {
                    drop(parsed.networks.insert(old.to_owned(), value));
                }
                ("replace", old) => drop(parsed.replace.insert(old.to_owned(), value)),
                _ => {
                    let networks = if has_networks { ", `network:NAME`" } else { "" };
                    return Err(Error::invalid(format!(
                        "there is no rule {rule:?}: there are `directory`, `disks`, `uuid`, \
                         `start`, `format:DISK`, `mac:ADDRESS`{networks} and `replace:TEXT`"
                    )));
                }
            }
        }
        parsed.check(facts)?;
        Ok(parsed)
    }

    fn check(&self, facts: &Facts) -> Result<()> {
        let known = |name: &&String| facts.disks.iter().any(|disk| disk.name == **name);
        let named = self.disks.iter().flatten().chain(self.formats.keys());
        if let Some(unknown) = named.into_iter().find(|name| !known(name)) {
            return Err(Error::invalid(format!("the snapshot has no disk {unknown}")));
        }
        let strange =
            |text: &&String| text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric());
        if let Some(format) = self.formats.values().find(strange) {
            return Err(Error::invalid(format!("{format:?} is no format of a disk")));
        }
        if let Some(wrong) = self.macs.values().find(|mac| !has_form(mac, ':', &[2; 6])) {
            return Err(Error::invalid(format!(
                "{wrong:?} is no network address, as 52:54:00:12:34:56"
            )));
        }
        if let Some(wrong) = self.uuid.iter().find(|uuid| !has_form(uuid, '-', &[8, 4, 4, 4, 12])) {
            return Err(Error::invalid(format!("{wrong:?} is no uuid")));
        }
        if self.replace.contains_key("") {
            return Err(Error::invalid("the rule `replace:TEXT` names the text"));
        }
        if self.directory.as_ref().is_some_and(|directory| !directory.is_absolute()) {
            return Err(Error::invalid("the rule `directory` is a whole path, from `/` on"));
        }
        Ok(())
    }

    /// What is named as old must be there: of the machine that was captured.
    pub(crate) fn check_known(
        &self,
        macs: &BTreeSet<String>,
        networks: &BTreeSet<String>,
    ) -> Result<()> {
        let has = |old: &String| macs.iter().any(|mac| mac.eq_ignore_ascii_case(old));
        if let Some(unknown) = self.macs.keys().find(|old| !has(old)) {
            return Err(Error::invalid(format!("the machine has no network address {unknown}")));
        }
        match self.networks.keys().find(|old| !networks.contains(*old)) {
            Some(unknown) => Err(Error::invalid(format!("the machine is on no network {unknown}"))),
            None => Ok(()),
        }
    }

    pub(crate) fn takes(&self, disk: &DiskFacts) -> bool {
        self.disks.as_ref().is_none_or(|disks| disks.contains(&disk.name))
    }

    /// The format that a disk gets, if one is asked for.
    pub(crate) fn format_of(&self, disk: &DiskFacts) -> Option<&String> {
        self.formats.get(&disk.name)
    }

    /// Where a disk goes that has no place of its own.
    pub(crate) fn directory_for(&self, disk: &DiskFacts) -> Result<&Path> {
        self.directory.as_deref().ok_or_else(|| {
            Error::invalid(format!(
                "where does disk {} go? name it in `disks`, or give the rule `directory`, a whole path",
                disk.name
            ))
        })
    }
}

/// A rule `replace:TEXT` that changes nothing was meant for something; `made` gives what such rules
/// are applied to.
pub(crate) fn check_replaced<T: PartialEq>(
    replace: &BTreeMap<String, String>,
    made: impl Fn(BTreeMap<String, String>) -> T,
) -> Option<Check> {
    let (none, all) = (made(BTreeMap::new()), made(replace.clone()));
    // Of two whose texts overlap each does something alone, or where the other has been.
    let is_idle = |(old, new): &(&String, &String)| {
        let alone = BTreeMap::from([((*old).clone(), (*new).clone())]);
        let mut others = replace.clone();
        others.remove(*old);
        made(alone) == none && made(others) == all
    };
    let idle: Vec<String> =
        replace.iter().filter(is_idle).map(|(old, _)| format!("`replace:{old}`")).collect();
    let reason = format!("nothing of it is changed by {}", idle.join(", "));
    let cure = "write the text as it stands in the definition, or leave the rule out; other rules \
                change names, addresses and the places of disks";
    (!idle.is_empty()).then(|| Check::block("rules", reason, cure))
}

fn yes_or_no(rule: &str, value: &str) -> Result<bool> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Error::invalid(format!("the rule `{rule}` is `yes` or `no`, not {value:?}"))),
    }
}

/// Hexadecimal digits in groups of these lengths.
fn has_form(text: &str, between: char, lengths: &[usize]) -> bool {
    let groups: Vec<&str> = text.split(between).collect();
    let is_one = |(group, length): (&&str, &usize)| {
        group.len() == *length && group.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    groups.len() == lengths.len() && groups.iter().zip(lengths).all(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let disk = DiskFacts {
            name: "vda".into(),
            file: "/vm/a".into(),
            format: "qcow2".into(),
            size_bytes: 1 << 20,
            has_backing: false,
        };
        Facts { disks: vec![disk], ..Facts::default() }
    }

    fn parse(rules: &[(&str, &str)], has_networks: bool) -> Result<Rules> {
        let rules = rules.iter().map(|(rule, value)| ((*rule).to_owned(), (*value).to_owned()));
        Rules::parse(&rules.collect(), &facts(), has_networks)
    }

    #[test]
    fn rules_are_read() {
        let rules = [
            ("directory", "/vm"),
            ("disks", "vda"),
            ("start", "yes"),
            ("format:vda", "raw"),
            ("mac:52:54:00:AA:00:01", "52:54:00:00:00:02"),
            ("network:lan", "lan2"),
        ];
        let parsed = parse(&rules, true).unwrap();
        let disk = &facts().disks[0];
        assert!(parsed.takes(disk) && parsed.start);
        assert_eq!(parsed.format_of(disk).unwrap(), "raw");
        assert_eq!(parsed.directory_for(disk).unwrap(), Path::new("/vm"));
        assert_eq!(parsed.macs["52:54:00:aa:00:01"], "52:54:00:00:00:02");
        assert_eq!(parsed.networks["lan"], "lan2");
    }

    #[test]
    fn a_text_that_is_replaced_stands_somewhere() {
        let idle = |text: &str, rules: &[(&str, &str)]| {
            let rules: BTreeMap<_, _> =
                rules.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
            let made = |rules: BTreeMap<String, String>| {
                rules.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
            };
            check_replaced(&rules, made).map(|check| check.message)
        };
        assert_eq!(idle("/vm/a", &[]), None);
        assert_eq!(idle("/vm/a", &[("/vm/", "/new/"), ("a", "b")]), None);
        // One after the other, and one that leaves nothing to the other.
        assert_eq!(idle("one", &[("one", "two"), ("two", "three")]), None);
        assert_eq!(idle("one", &[("on", "in"), ("one", "two")]), None);
        let said = idle("/vm/a", &[("/vm/", "/new/"), ("/vmx/", "/new/")]).unwrap();
        assert_eq!(said, "nothing of it is changed by `replace:/vmx/`");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let bad = [
            ("network:lan", "lan2"),
            ("disks", "vdb"),
            ("format:vdb", "raw"),
            ("format:vda", "../raw"),
            ("format:vda", ""),
            ("directory", "vm"),
            ("start:now", "yes"),
            ("start", "true"),
            ("uuid", "new"),
            ("mac:52:54:00:aa:00:01", "52:54"),
            ("replace:", "x"),
            ("colour", "red"),
        ];
        for rule in bad {
            assert!(parse(&[rule], false).is_err(), "{rule:?}");
        }
        let known = |rule| {
            let (macs, networks) = (["52:54:00:AA:00:01"], ["lan"]);
            let own = |names: [&str; 1]| names.map(str::to_owned).into();
            parse(&[rule], true).unwrap().check_known(&own(macs), &own(networks))
        };
        let to = "52:54:00:00:00:02";
        known(("mac:52:54:00:aa:00:01", to)).unwrap();
        known(("network:lan", "lan2")).unwrap();
        for unknown in [("mac:52:54:00:aa:00:02", to), ("network:lam", "lan2")] {
            assert!(known(unknown).is_err(), "{unknown:?}");
        }
        let none = parse(&[], true).unwrap();
        let error = none.directory_for(&facts().disks[0]).unwrap_err().to_string();
        assert!(error.contains("vda") && error.contains("`directory`"), "{error}");
    }
}
