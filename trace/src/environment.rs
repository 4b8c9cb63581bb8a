//! Whether traces are asked for, by the variables of OpenTelemetry's specification. What is not read here, the library reads
//! itself: the service's name, the sampler, the batches' limits, headers.

use std::time::Duration;

use access::https;
use access::key_store::Identity;
use reqwest::Url;

/// How the collector is reached.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The collector, for a person: without what may be secret in an address.
    pub(crate) collector: String,
    pub(crate) timeout: Duration,
    /// A file with the authorities that its certificate may be of.
    pub(crate) certificate: Option<String>,
    /// Files with a certificate and its key, by which it knows us.
    pub(crate) client: Option<(String, String)>,
    /// How many spans wait at most.
    pub(crate) waiting: usize,
}

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const COMPRESSIONS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const CLIENT_CERTIFICATES: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];
const CLIENT_KEYS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];

/// The specification's.
const TIMEOUT: Duration = Duration::from_secs(10);
const WAITING: usize = 2048;

/// What the variables ask for; `None` where that is nothing. `warn` is given what is passed over.
///
/// # Errors
/// Why there can be no traces.
pub(crate) fn read(
    variable: impl Fn(&str) -> Option<String>,
    mut warn: impl FnMut(String),
) -> Result<Option<Settings>, String> {
    // An empty variable is none, says the specification.
    let get = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, get(name)?)));
    if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let Some((endpoint_name, endpoint)) = first(ENDPOINTS) else { return Ok(None) };
    match get("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(format!("OTEL_TRACES_EXPORTER={other} is not known here: otlp or none")),
    }
    if let Some((name, protocol)) = first(PROTOCOLS).filter(|(_, protocol)| protocol != "http/protobuf") {
        return Err(format!(
            "{name}={protocol} is not spoken here. Set it to http/protobuf, and {endpoint_name} to where the collector takes that \
             (port 4318 unless it was set otherwise; 4317 is gRPC's)"
        ));
    }
    // Its value is not repeated: there may be a password in it.
    let url = Url::parse(&endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| format!("{endpoint_name} is no address as http://collector:4318"))?;
    if let Some((name, compression)) = first(COMPRESSIONS).filter(|(_, compression)| compression != "none") {
        warn(format!("{name}={compression} has no effect here: spans are sent as they are"));
    }
    sampler(&get, &mut warn);
    let timeout = first(TIMEOUTS).and_then(|(name, text)| match text.parse() {
        Ok(millis) => Some(Duration::from_millis(millis)),
        Err(_) => {
            warn(format!("{name} is no number of milliseconds, and passed over"));
            None
        }
    });
    let client = match (first(CLIENT_CERTIFICATES), first(CLIENT_KEYS)) {
        (Some((_, certificate)), Some((_, key))) => Some((certificate, key)),
        (None, None) => None,
        (Some((name, _)), None) | (None, Some((name, _))) => {
            return Err(format!("{name} is set alone: certificate and key of a client go together"));
        }
    };
    Ok(Some(Settings {
        collector: url.origin().ascii_serialization(),
        timeout: timeout.unwrap_or(TIMEOUT),
        certificate: first(CERTIFICATES).map(|(_, file)| file),
        client,
        waiting: get("OTEL_BSP_MAX_QUEUE_SIZE").and_then(|size| size.parse().ok()).unwrap_or(WAITING),
    }))
}

/// The library passes over what it does not know in silence.
fn sampler(get: &impl Fn(&str) -> Option<String>, warn: &mut impl FnMut(String)) {
    let Some(sampler) = get("OTEL_TRACES_SAMPLER") else { return };
    match sampler.as_str() {
        "always_on" | "always_off" | "parentbased_always_on" | "parentbased_always_off" => {}
        "traceidratio" | "parentbased_traceidratio" => {
            let ratio = get("OTEL_TRACES_SAMPLER_ARG").and_then(|ratio| ratio.parse::<f64>().ok());
            if ratio.is_none_or(|ratio| !(0.0..=1.0).contains(&ratio)) {
                warn(
                    "OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1: without one every transaction is traced"
                        .to_owned(),
                );
            }
        }
        _ => warn(format!("OTEL_TRACES_SAMPLER={sampler} is not known here: every transaction is traced")),
    }
}

impl Settings {
    /// The client that reaches the collector.
    ///
    /// # Errors
    /// What is wrong with a certificate.
    pub(crate) fn client(&self) -> Result<reqwest::Client, String> {
        let read = |file: &String| std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"));
        let authorities = self.certificate.as_ref().map(read).transpose()?;
        let identity = match &self.client {
            Some((chain, key)) => Some(Identity { chain: read(chain)?, key: read(key)? }),
            None => None,
        };
        let tls = https::client(authorities.as_deref(), identity.as_ref())?;
        let client = reqwest::Client::builder().timeout(self.timeout).use_preconfigured_tls(tls);
        client.build().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> (Result<Option<Settings>, String>, Vec<String>) {
        let mut warnings = Vec::new();
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let settings = read(get, |text| warnings.push(text));
        (settings, warnings)
    }

    const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn nothing_is_traced_unless_a_collector_is_named() {
        assert!(matches!(asked(&[]), (Ok(None), warnings) if warnings.is_empty()));
        assert!(matches!(asked(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).0, Ok(None)));
        assert!(matches!(asked(&[("OTEL_TRACES_SAMPLER", "always_on")]).0, Ok(None)));
        let settings = asked(&[COLLECTOR]).0.ok().flatten().expect("traces");
        assert_eq!(
            (settings.collector.as_str(), settings.timeout, settings.waiting),
            ("http://collector:4318", TIMEOUT, 2048)
        );
    }

    #[test]
    fn what_is_said_of_traces_counts_over_what_is_said_of_everything() {
        let settings = asked(&[
            COLLECTOR,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://user:secret@other/path?key=secret"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "7"),
        ]);
        let settings = settings.0.ok().flatten().expect("traces");
        assert_eq!(settings.collector, "https://other", "nothing secret");
        assert_eq!((settings.timeout, settings.waiting), (Duration::from_millis(250), 7));
    }

    #[test]
    fn traces_that_are_switched_off_are_off() {
        for off in [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert!(matches!(asked(&[COLLECTOR, off]).0, Ok(None)), "{off:?}");
        }
        assert!(matches!(asked(&[COLLECTOR, ("OTEL_SDK_DISABLED", "no")]).0, Ok(Some(_))));
        assert!(matches!(asked(&[COLLECTOR, ("OTEL_TRACES_EXPORTER", "otlp")]).0, Ok(Some(_))));
    }

    #[test]
    fn what_cannot_be_is_said_with_what_mends_it() {
        let why = |variables: &[(&str, &str)]| asked(variables).0.expect_err("no traces");
        let grpc = why(&[COLLECTOR, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert!(grpc.contains("http/protobuf") && grpc.contains("4318"), "{grpc}");
        assert!(why(&[COLLECTOR, ("OTEL_TRACES_EXPORTER", "zipkin")]).contains("otlp or none"));
        let endpoint = why(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "secret@collector")]);
        assert!(endpoint.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !endpoint.contains("secret"), "{endpoint}");
        assert!(why(&[COLLECTOR, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem")]).contains("go together"));
    }

    #[test]
    fn what_is_passed_over_is_a_warning() {
        let warned = |variable| asked(&[COLLECTOR, variable]).1.len();
        assert_eq!(warned(("OTEL_TRACES_SAMPLER", "xray")), 1);
        assert_eq!(warned(("OTEL_TRACES_SAMPLER", "traceidratio")), 1, "without its ratio");
        assert_eq!(warned(("OTEL_TRACES_SAMPLER", "always_off")), 0);
        assert_eq!(warned(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")), 1);
        assert_eq!(warned(("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")), 1);
        let ratio = [COLLECTOR, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.01")];
        assert!(asked(&ratio).1.is_empty());
    }
}
