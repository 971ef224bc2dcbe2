//! `chaos-proxy`: the link proxy on its own, for whatever speaks toxiproxy's control API.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use chaos_harness::toxiproxy::{Control, Settings, VERSION, serve};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error>;

/// A TCP proxy that makes connections slow, silent or broken when told so over HTTP, by any client of toxiproxy.
#[derive(Debug, Parser)]
#[command(name = "chaos-proxy", version = VERSION)]
struct Arguments {
    /// Host for the control API to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port for the control API to listen on, 0 for a free one
    #[arg(long, default_value_t = 8474)]
    port: u16,
    /// JSON file with proxies to create on startup
    #[arg(long)]
    config: Option<PathBuf>,
    /// Decides every random choice; the environment variable CHAOS_SEED is the default
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<i128>,
    /// Serve metrics of the proxies at /metrics
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    proxy_metrics: bool,
    /// Taken, but there is no Go runtime to tell of
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    runtime_metrics: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse_from(std::env::args_os().map(two_dashes))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
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
    let _ = writeln!(std::io::stderr(), "chaos-proxy: {line}");
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    // Before anything is said: whoever reads that it listens may signal at once.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let end = async move {
        let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM" };
        log(format_args!("{name}: closing"));
    };
    let control = Arc::new(Control::new(settings(&arguments)?));
    if let Some(path) = &arguments.config {
        populate(&control, path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let place = format!("{}:{}", arguments.host, arguments.port);
    let listener = TcpListener::bind((arguments.host.trim_matches(['[', ']']), arguments.port)).await;
    let listener = listener.map_err(|error| format!("cannot listen on {place}: {error}; choose another --port"))?;
    log(format_args!("version {VERSION}, seed {}", control.settings().seed));
    log(format_args!("control API on http://{}", listener.local_addr()?));
    serve(listener, control, end).await?;
    Ok(())
}

fn settings(arguments: &Arguments) -> Result<Settings, Failure> {
    let given = || std::env::var("CHAOS_SEED").ok().filter(|seed| !seed.is_empty());
    let seed = match (arguments.seed, given()) {
        (Some(seed), _) => seed,
        (None, Some(text)) => text.parse().map_err(|_| format!("CHAOS_SEED is no number: `{text}`"))?,
        (None, None) => rand::random::<u64>().into(),
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // toxiproxy's seed has a sign, ours has none
    let seed = seed as u64;
    let Arguments { proxy_metrics, runtime_metrics, .. } = *arguments;
    Ok(Settings { seed, metrics: proxy_metrics || runtime_metrics, proxy_metrics, log })
}

async fn populate(control: &Control, path: &Path) -> Result<(), Failure> {
    let count = control.populate_from(&tokio::fs::read(path).await?).await?;
    log(format_args!("{count} proxies from {}", path.display()));
    Ok(())
}
