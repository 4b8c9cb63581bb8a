//! The catalogue of errors: a page for every failure that a person must mend, by its name (docs/errors).

/// The pages, in the order of their names.
static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/errors.rs"));

/// The page of a failure, as Markdown; `None` where nothing has that name.
pub fn page(id: &str) -> Option<&'static str> {
    PAGES.iter().find(|(name, _)| *name == id).map(|(_, page)| *page)
}

/// The page of a failure that somebody names on a command line.
///
/// # Errors
/// There is none of that name: those that are named alike, or where all are.
pub fn look_up(id: &str) -> Result<&'static str, String> {
    let wanted = id.trim_matches(['[', ']']).to_lowercase();
    page(&wanted).ok_or_else(|| {
        let words: Vec<&str> = wanted.split('-').filter(|word| word.len() > 2).collect();
        let alike = |name: &&str| words.iter().any(|word| name.contains(word));
        let alike: Vec<&str> = PAGES.iter().map(|(name, _)| *name).filter(alike).collect();
        match alike.is_empty() {
            true => format!("no error is called {id}"),
            false => format!("no error is called {id}. Named alike: {}", alike.join(", ")),
        }
    })
}

/// The names, each with the sentence that its page begins with.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.iter().map(|(name, page)| {
        let sentence = page.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        (*name, sentence.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use regex::Regex;

    use super::*;

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// The programs' code, without its tests.
    fn code() -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for folder in ["access", "streamer", "sink"] {
            sources(&root.join(folder).join("src"), &mut files);
        }
        let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
        texts.map(|text| text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn every_name_of_a_failure_has_its_page_and_every_page_its_failure() {
        let code = code();
        let naming =
            Regex::new(r#"\b(?:stop|Finding::error|Finding::warning|Finding::note|called|finding)\(\s*"([a-z0-9-]+)""#)
                .unwrap();
        let given: BTreeSet<&str> =
            naming.captures_iter(&code).filter_map(|found| found.get(1)).map(|name| name.as_str()).collect();
        let without_page: Vec<_> = given.iter().filter(|name| page(name).is_none()).collect();
        let without_failure: Vec<_> = names().filter(|(name, _)| !code.contains(&format!("\"{name}\""))).collect();
        assert!(given.len() > 50, "{given:?}");
        assert!(
            without_page.is_empty() && without_failure.is_empty(),
            "no page: {without_page:?}; no failure: {without_failure:?}"
        );
    }

    #[test]
    fn a_name_is_found_as_doctor_prints_it_and_one_that_is_none_by_its_words() {
        assert_eq!(look_up("[slot-missing]").ok(), page("slot-missing"));
        let said = look_up("slot-gone").unwrap_err();
        assert!(said.contains("slot-missing"), "{said}");
        assert_eq!(look_up("xyzzy").unwrap_err(), "no error is called xyzzy");
    }

    #[test]
    fn a_page_says_what_it_means_for_the_data_and_what_to_do() {
        for (name, page) in PAGES {
            assert!(page.starts_with(&format!("# {name}\n")), "{name}");
            for part in ["\n| the data | ", "\n## What it says\n", "hat to do\n"] {
                assert!(page.contains(part), "{name} lacks {part}");
            }
        }
        assert!(names().all(|(_, sentence)| sentence.ends_with('.')));
    }
}
