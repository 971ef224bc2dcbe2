//! The helper program: does one job, given as JSON, in the network namespace in which it was started, and prints what
//! came of it.
//!
//! `delay-names` and a delay instead has it hold questions back until its standard input ends. For each line that it reads
//! there it prints how many they are.
#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

use std::io::{BufRead, stdin};
use std::sync::atomic::Ordering;

use crate::{Done, Job, NameDelay};

/// Does what the arguments say.
///
/// # Errors
/// Arguments that make no sense, or an output that nobody reads. What came of a job is printed, errors as well.
pub fn helper(arguments: &[String]) -> std::io::Result<()> {
    match arguments {
        [word, delay] if word == "delay-names" => delay_names(&serde_json::from_str(delay)?),
        arguments => {
            let job: Job = serde_json::from_str(arguments.first().map_or("", String::as_str))?;
            print(&job.perform())
        }
    }
}

fn delay_names(delay: &NameDelay) -> std::io::Result<()> {
    let begun = delay.begin();
    print(&begun.as_ref().map(|_| Done::Done))?;
    let Ok(mut names) = begun else { return Ok(()) };
    let mut asked = String::new();
    loop {
        names.run_until(stdin())?;
        if stdin().lock().read_line(&mut asked)? == 0 {
            return Ok(());
        }
        println!("{}", names.delayed().load(Ordering::Relaxed));
    }
}

fn print<E: serde::Serialize>(outcome: &Result<Done, E>) -> std::io::Result<()> {
    println!("{}", serde_json::to_string(outcome)?);
    Ok(())
}
