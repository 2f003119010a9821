//! Definitions of libvirt, read and changed.

use tintype_model::{Error, Result};
use xmltree::{Element, EmitterConfig, XMLNode};

const MOST_BYTES: usize = 4 << 20;
const MOST_DEPTH: usize = 100;

/// Parses a definition.
pub(crate) fn parse(text: &str) -> Result<Element> {
    if text.len() > MOST_BYTES || depth(text) > MOST_DEPTH {
        return Err(Error::invalid("a definition of libvirt is too large or too deep"));
    }
    Element::parse(text.as_bytes())
        .map_err(|error| Error::invalid(format!("a definition of libvirt: {error}")))
}

/// How deep elements lie in each other, at least what a parser sees: it goes down for each.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).copied().unwrap_or_default();
        match byte {
            b'<' if next == b'/' => depth = depth.saturating_sub(1),
            b'<' if next != b'!' && next != b'?' => depth += 1,
            b'/' if next == b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

pub(crate) fn write(element: &Element) -> Result<String> {
    let mut bytes = Vec::new();
    let config = EmitterConfig::new().write_document_declaration(false).perform_indent(true);
    element
        .write_with_config(&mut bytes, config)
        .map_err(|error| Error::internal(format!("a definition of libvirt: {error}")))?;
    String::from_utf8(bytes).map_err(|error| Error::internal(error.to_string()))
}

/// Child elements of a name.
pub(crate) fn children<'e>(
    element: &'e Element,
    name: &'e str,
) -> impl Iterator<Item = &'e Element> {
    let elements = element.children.iter().filter_map(XMLNode::as_element);
    elements.filter(move |child| child.name == name)
}

pub(crate) fn children_mut<'e>(
    element: &'e mut Element,
    name: &'e str,
) -> impl Iterator<Item = &'e mut Element> {
    let elements = element.children.iter_mut().filter_map(XMLNode::as_mut_element);
    elements.filter(move |child| child.name == name)
}

/// Text of what lies at a path of names.
pub(crate) fn text(element: &Element, path: &[&str]) -> Option<String> {
    let found = path.iter().try_fold(element, |element, name| element.get_child(*name))?;
    found.get_text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

pub(crate) fn set_text(element: &mut Element, name: &str, text: &str) {
    if let Some(child) = element.get_mut_child(name) {
        child.children = vec![XMLNode::Text(text.to_owned())];
    }
}

/// An attribute of a child.
pub(crate) fn of_child(element: &Element, child: &str, attribute: &str) -> Option<String> {
    element.get_child(child)?.attributes.get(attribute).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays() {
        let text = "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
            <name>a&amp;b</name><!-- why --><devices><disk device='disk'/></devices>\
            <qemu:commandline><qemu:arg value='-s'/></qemu:commandline></domain>";
        let written = write(&parse(text).unwrap()).unwrap();
        for part in ["xmlns:qemu=", "<qemu:arg value=\"-s\"", "a&amp;b", "<!-- why -->"] {
            assert!(written.contains(part), "{part}: {written}");
        }
        assert_eq!(parse(&written).unwrap().name, "domain");
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        assert!(parse(&"<a>".repeat(1_000_000)).is_err());
        assert!(parse("<a><b/><b/></a>").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn changed_definitions_are_read_or_refused(text in tintype_testkit::hostile::changed_text(&[
            "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
             <name>a&amp;b</name><!-- why --><devices><disk device='disk'><source file='/x'/>\
             <target dev='vda'/></disk><interface><mac address='52:54:00:00:00:01'/></interface>\
             </devices><qemu:commandline><qemu:arg value='-s'/></qemu:commandline></domain>",
            "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'cc'><!ENTITY d '&b;&b;'>]><a>&d;</a>",
        ])) {
            if let Ok(element) = parse(&text) {
                let written = write(&element).unwrap();
                assert!(parse(&written).is_ok(), "{text} was written as {written}");
            }
        }
    }
}
