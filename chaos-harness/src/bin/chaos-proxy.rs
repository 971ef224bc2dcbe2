//! `chaos-proxy`: the link proxy on its own, for whatever speaks toxiproxy's control API.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use chaos_harness::report::{foreign, message};
use chaos_harness::toxiproxy::{Control, Settings, VERSION, serve, wildcard};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error>;

/// A TCP proxy that makes connections slow, silent or broken when told so over HTTP, by any client of toxiproxy.
#[derive(Debug, Parser)]
#[command(name = "chaos-proxy", version = VERSION)]
struct Arguments {
    /// Host for the control API to listen on; empty for every interface
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port for the control API to listen on, 0 for a free one
    #[arg(long, default_value_t = 8474)]
    port: u16,
    /// Let proxies without a host, as `:6379`, listen on every interface, as toxiproxy does, and not on loopback alone;
    /// a control API on every interface implies it
    #[arg(long)]
    all_interfaces: bool,
    /// A name with a dot by which clients may call the control API, as `proxy.example`; may be given again. Addresses,
    /// `localhost`, the --host and names without a dot need none: others may be a web page's
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// JSON file with proxies to create on startup
    #[arg(long)]
    config: Option<PathBuf>,
    /// Decides every random choice; the environment variable CHAOS_SEED is the default
    #[arg(long, allow_negative_numbers = true, value_parser = parse_seed)]
    seed: Option<u64>,
    /// Serve metrics of the proxies at /metrics
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = parse_bool)]
    proxy_metrics: bool,
    /// Serve metrics of the process at /metrics
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_parser = parse_bool)]
    runtime_metrics: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(std::env::args_os().map(two_dashes));
    match run_apart(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("{}", message(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

/// The connections have threads of their own: however much they have to do, the control API answers.
fn run_apart(arguments: Arguments) -> Result<(), Failure> {
    let links = runtime::Builder::new_multi_thread().enable_all().build()?;
    let control = runtime::Builder::new_current_thread().enable_all().build()?;
    control.block_on(run(arguments, links.handle().clone()))
}

/// A truth value as Go reads it.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Toxiproxy's seed has a sign, the library's has none; both are taken.
fn parse_seed(text: &str) -> Result<u64, String> {
    let signed = |error| text.parse().map(i64::cast_unsigned).map_err(|_| error);
    text.parse().or_else(signed).map_err(|error: std::num::ParseIntError| {
        format!("{error}: a seed is a whole number from {} to {}", i64::MIN, u64::MAX)
    })
}

/// Go takes `-port` for `--port`, and so do the scripts of those who come from there.
fn two_dashes(argument: OsString) -> OsString {
    match argument.to_str().and_then(|text| text.strip_prefix('-')) {
        Some(name) if name.len() > 1 && name.starts_with(|first: char| first.is_ascii_lowercase()) => {
            format!("--{name}").into()
        }
        _ => argument,
    }
}

fn log(line: fmt::Arguments<'_>) {
    // Nobody may be reading, which is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{}", foreign::log(&format!("chaos-proxy: {line}")));
}

async fn run(arguments: Arguments, links: runtime::Handle) -> Result<(), Failure> {
    // Before anything is said: whoever reads that it listens may signal at once.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let end = async move {
        let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM" };
        log(format_args!("{name}: closing"));
    };
    let control = Arc::new(Control::new(settings(&arguments, links)?));
    if let Some(path) = &arguments.config {
        populate(&control, path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let place = format!("{}:{}", arguments.host, arguments.port);
    let listener = match is_every_interface(&arguments.host) {
        true => TcpListener::bind(wildcard(arguments.port)).await,
        false => TcpListener::bind((bare(&arguments.host), arguments.port)).await,
    };
    let listener = listener.map_err(|error| format!("cannot listen on {place}: {error}; choose another --port"))?;
    log(format_args!("version {VERSION}, seed {}", control.settings().seed));
    log(format_args!("control API on http://{}", listener.local_addr()?));
    serve(listener, control, end).await;
    Ok(())
}

/// The host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

fn is_every_interface(host: &str) -> bool {
    bare(host).is_empty() || bare(host).parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
}

fn settings(arguments: &Arguments, links: runtime::Handle) -> Result<Settings, Failure> {
    let given = std::env::var_os("CHAOS_SEED").filter(|seed| !seed.is_empty());
    let given = given.map(|seed| seed.to_string_lossy().into_owned());
    let seed = match (arguments.seed, given) {
        (Some(seed), _) => seed,
        (None, Some(text)) => parse_seed(&text).map_err(|problem| format!("CHAOS_SEED={text}: {problem}"))?,
        (None, None) => rand::random(),
    };
    let Arguments { proxy_metrics, runtime_metrics, .. } = *arguments;
    let every_interface = arguments.all_interfaces || is_every_interface(&arguments.host);
    let hosts = arguments.allow_host.iter().cloned().chain([arguments.host.clone()]).collect();
    Ok(Settings { seed, proxy_metrics, runtime_metrics, every_interface, hosts, links: Some(links), log })
}

async fn populate(control: &Control, path: &Path) -> Result<(), Failure> {
    let count = control.populate_from(&tokio::fs::read(path).await?).await?;
    log(format_args!("{count} proxies from {}", path.display()));
    Ok(())
}
