//! Programs out of anybody's tarball: what they say of themselves is no larger than they are, and can be shown.

use root::pack::{ElfFacts, inspect, judge};

/// A file is read, or said to be damaged.
pub fn elf(data: &[u8]) {
    let facts = match ElfFacts::read(data) {
        Ok(facts) => facts,
        Err(error) => return plain(&error.to_string()),
    };
    let sections = facts.sections.iter().map(|section| &section.name);
    let names = sections.chain(&facts.needed).chain(&facts.interpreter).chain(&facts.symbols);
    let mut length = 0;
    for name in names {
        plain(name);
        length += name.len();
    }
    // A byte takes up to five to be shown, `\u{1}`, and the name of one section is told twice.
    assert!(length <= 10 * data.len(), "{length} bytes of names");
    facts.hardening().iter().for_each(|(_, word)| plain(word));
    for arch in super::arches().iter() {
        let problems = judge(arch, &facts);
        for problem in &problems {
            plain(&format!("{problem}: {}", problem.remedy()));
        }
        let sound = inspect(arch, "x", data, &[]).is_ok();
        assert!(!sound || problems.is_empty());
    }
}

/// Nothing that a terminal would act on.
fn plain(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}
