//! Every file of the corpus through every reader: what the fuzzer once found stays mended.

use std::fs;
use std::path::{Path, PathBuf};

use super::READERS;

/// What a thread of the runtime has.
const STACK: usize = 2 * 1024 * 1024;

/// More than the test needs, less than a length that somebody made up.
#[cfg(target_os = "linux")]
const ADDRESS_SPACE: u64 = 2 * 1024 * 1024 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_reader_takes_every_file_of_the_corpus() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let limit = getrlimit(Resource::As);
        setrlimit(Resource::As, rustix::process::Rlimit { current: Some(ADDRESS_SPACE), ..limit }).unwrap();
    }
    let folders = files(&folder());
    let names: Vec<String> =
        folders.iter().map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned()).collect();
    let mut readers: Vec<&str> = READERS.iter().map(|(name, _)| *name).collect();
    readers.sort_unstable();
    assert_eq!(names, readers, "a folder for each reader");

    for file in folders.iter().flat_map(|folder| files(folder)) {
        let bytes = fs::read(&file).unwrap();
        for (name, reader) in READERS {
            // Shown when the process does not live to say it: run it with --nocapture.
            println!("{name} < {}", file.display());
            let bytes = bytes.clone();
            let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || reader(&bytes)).unwrap();
            assert!(thread.join().is_ok(), "{name} does not take {}", file.display());
        }
    }
}

#[test]
fn every_reader_has_a_target() {
    for (name, _) in READERS {
        let target = folder().join(format!("../fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(&target).unwrap();
        assert!(text.contains(&format!("any_bytes::{name}(data)")), "{}", target.display());
    }
}
