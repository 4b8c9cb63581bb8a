//! Which Java runs Kafka, Connect and the schema registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Linux distributions put their Javas.
const INSTALLED: &str = "/usr/lib/jvm";

/// `JAVA_HOME`'s Java; without it the newest that is installed, else the path's.
///
/// The newest, because Java writes floats in their shortest form since 19 (JDK-4511638), and Debezium's images have 21:
/// under an older one Debezium's own records are not those that its users see.
pub(crate) fn java() -> Command {
    let home = std::env::var_os("JAVA_HOME").map(PathBuf::from).or_else(|| newest(Path::new(INSTALLED)));
    home.map_or_else(|| Command::new("java"), |home| Command::new(home.join("bin/java")))
}

/// The program beside it that makes key stores.
pub fn keytool() -> Command {
    Command::new(Path::new(java().get_program()).with_file_name("keytool"))
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let homes = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let versions = homes.filter_map(|home| Some((version(&fs::read_to_string(home.join("release")).ok()?)?, home)));
    versions.filter(|(_, home)| home.join("bin/java").exists()).max().map(|(_, home)| home)
}

/// The feature version in a Java's `release` file: 17 of `JAVA_VERSION="17.0.15"`, 8 of `JAVA_VERSION="1.8.0_412"`.
fn version(release: &str) -> Option<u32> {
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?.trim_matches('"');
    let mut numbers = version.split(['.', '_', '-', '+']).map(str::parse);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        feature => Some(feature),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_several_javas_is_taken() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        for (name, version) in [("a", "21.0.2"), ("b", "9"), ("c", "1.8.0_412"), ("d", "garbage")] {
            fs::create_dir_all(folder.path().join(name).join("bin"))?;
            fs::write(folder.path().join(name).join("bin/java"), "")?;
            fs::write(folder.path().join(name).join("release"), format!("OS=\"x\"\nJAVA_VERSION=\"{version}\"\n"))?;
        }
        fs::create_dir_all(folder.path().join("without-a-program"))?;
        fs::write(folder.path().join("without-a-program/release"), "JAVA_VERSION=\"25\"")?;
        assert_eq!(newest(folder.path()), Some(folder.path().join("a")));
        assert_eq!(newest(&folder.path().join("nowhere")), None);
        Ok(())
    }
}
