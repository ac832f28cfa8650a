//! Names of CPE 2.3, as formatted strings: `cpe:2.3:a:vendor:product:version:update:…`.

use std::cmp::Ordering;

use super::Truth;
use super::versions::{Range, order};

/// Systems that a root never runs on.
const FOREIGN: [&str; 7] = ["android", "ios", "ipados", "iphone_os", "macos", "mac_os_x", "windows"];

/// A name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cpe {
    /// `a` for programs, `o` for systems, `h` for devices.
    part: String,
    vendor: String,
    product: String,
    version: String,
    update: String,
    target_software: String,
}

impl Cpe {
    /// Reads a formatted string; none if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields = fields(text.strip_prefix("cpe:2.3:")?);
        let [part, vendor, product, version, update, _, _, _, target_software, _, _] =
            <[String; 11]>::try_from(fields).ok()?;
        Some(Self { part, vendor, product, version, update, target_software })
    }

    /// Whether both are names of the same product, of whatever versions.
    pub(super) fn is_product(&self, other: &Self) -> bool {
        (&self.part, &self.vendor, &self.product) == (&other.part, &other.vendor, &other.product)
    }

    /// Whether its product has this name, and its vendor this one if one is given.
    pub(super) fn is_called(&self, vendor: Option<&str>, product: &str) -> bool {
        self.product == product && vendor.is_none_or(|vendor| self.vendor == vendor)
    }

    /// Whether a version of the product is among those that this name and a range beside it mean.
    pub(super) fn has(&self, range: &Range<'_>, version: &str) -> Truth {
        let versions = match self.version.as_str() {
            "*" if range.has(version) => Truth::Yes,
            // What has no version in the database may be any.
            "-" => Truth::Maybe,
            exact if exact != "*" && order(&self.exact(exact), version) == Ordering::Equal => Truth::Yes,
            _ => Truth::No,
        };
        let software = match self.target_software.as_str() {
            "*" | "-" | "linux" | "linux_kernel" => Truth::Yes,
            foreign if FOREIGN.contains(&foreign) => Truth::No,
            _ => Truth::Maybe,
        };
        versions.min(software)
    }

    /// The version with what CPE sets apart from it: `1.2` and `rc1`.
    fn exact(&self, version: &str) -> String {
        match self.update.as_str() {
            "*" | "-" => version.to_owned(),
            update => format!("{version}-{update}"),
        }
    }
}

/// The parts between colons that no backslash stands before, in lower case and without backslashes.
fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ':' if !escaped => fields.push(String::new()),
            c => {
                if let Some(last) = fields.last_mut() {
                    last.extend(c.to_lowercase());
                }
            }
        }
        escaped = false;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpe(text: &str) -> Cpe {
        Cpe::parse(text).unwrap()
    }

    #[test]
    fn names_are_read_and_what_is_none_is_not() {
        let name = cpe("cpe:2.3:a:GNU:lib\\:word\\+\\+:1.2\\:3:rc1:*:*:*:linux:*:*");
        assert_eq!((name.product.as_str(), name.version.as_str()), ("lib:word++", "1.2:3"));
        assert!(name.is_product(&cpe("cpe:2.3:a:gnu:lib\\:word\\+\\+:*:*:*:*:*:*:*:*")));
        assert!(!name.is_product(&cpe("cpe:2.3:o:gnu:lib\\:word\\+\\+:*:*:*:*:*:*:*:*")));
        for wrong in ["", "cpe:/a:gnu:gcc", "cpe:2.3:a:gnu:gcc", "cpe:2.3:a:gnu:gcc:1:*:*:*:*:*:*:*:*"] {
            assert_eq!(Cpe::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn versions_are_compared_with_the_name_and_the_range() {
        let before = Range { before: Some("1.37.1"), ..Range::default() };
        let all = Range::default();
        for (version, update, software, range, expected) in [
            ("*", "*", "*", &before, Truth::Yes),
            ("*", "*", "*", &all, Truth::Yes),
            ("1.37.0", "*", "*", &all, Truth::Yes),
            ("1.37", "-", "*", &all, Truth::Yes),
            ("1.37.0", "rc1", "*", &all, Truth::No),
            ("1.36.0", "*", "*", &all, Truth::No),
            ("-", "*", "*", &all, Truth::Maybe),
            ("*", "*", "node.js", &before, Truth::Maybe),
            ("*", "*", "windows", &before, Truth::No),
        ] {
            let name = cpe(&format!("cpe:2.3:a:b:c:{version}:{update}:*:*:*:{software}:*:*"));
            assert_eq!(name.has(range, "1.37.0"), expected, "{name:?}");
        }
        assert_eq!(cpe("cpe:2.3:a:b:c:1.2:rc1:*:*:*:*:*:*").has(&all, "1.2-rc1"), Truth::Yes);
    }
}
