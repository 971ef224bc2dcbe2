//! The commands of the project: `cargo xtask <command>`. One file per command; this one only dispatches.

use std::process::ExitCode;

use chaos_harness::report::message;
use clap::{Parser, Subcommand};

mod chaos_clean;
mod chaos_halt;
mod chaos_report;
mod fault_table;
mod tidy;

/// The commands of chaos-harness.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Undo and remove what dead test processes left: rules, containers, networks, processes.
    ChaosClean(chaos_clean::Options),
    /// Ask every experiment that runs to roll back and end.
    ChaosHalt(chaos_halt::Options),
    /// Show what the journals say, in any format, and gate a pipeline by it.
    ChaosReport(chaos_report::Options),
    /// Write the README's table of faults anew, from the registry.
    FaultTable,
    /// Check the house rules that compiler and linters do not know.
    Tidy,
}

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {}", message(error.as_ref()));
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::ChaosClean(options) => chaos_clean::run(&options),
        Command::ChaosHalt(options) => chaos_halt::run(&options),
        Command::ChaosReport(options) => Ok(chaos_report::run(&options)),
        Command::FaultTable => fault_table::run(),
        Command::Tidy => tidy::run(),
    }
}
