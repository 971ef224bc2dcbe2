//! Uses up what a container has, from inside its limits, until its standard input ends. Compiled by itself, from the
//! standard library alone, and put into containers; no part of the crate.
//!
//! `cpu THREADS`, `threads SLEEPING`, `memory BYTES`, `disk FOLDER PERMILLE`, `space FOLDER`, `sync FOLDER BYTES TIMES ROUNDS`. It prints one line when it presses: `ready`, or
//! `error` and the reason.

use std::fs::File;
use std::io::{Error, Read, Write};
use std::path::PathBuf;

fn main() {
    let mut args = std::env::args();
    // Nothing is to be left in a container, however this ends.
    let _ = std::fs::remove_file(args.next().unwrap_or_default());
    let args: Vec<String> = args.collect();
    match press(&args) {
        Ok(_held) => {
            println!("ready {}", std::process::id());
            // The lease: it ends with whoever holds the other end.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        }
        Err(error) => println!("error {error}"),
    }
}

/// What presses, until it is dropped.
enum Held {
    Nothing,
    Memory(#[allow(dead_code)] Vec<u8>),
    /// Without a name.
    Filler(#[allow(dead_code)] File),
}

fn press(args: &[String]) -> Result<Held, Error> {
    let text = |index: usize| args.get(index).map(String::as_str).unwrap_or_default();
    let number = |index: usize| text(index).parse::<u64>().map_err(Error::other);
    match text(0) {
        "cpu" => {
            for _ in 0..number(1)? {
                std::thread::Builder::new().stack_size(64 << 10).spawn(|| loop { std::hint::spin_loop() })?;
            }
            Ok(Held::Nothing)
        }
        "threads" => sleep(number(1)?),
        "memory" => {
            let mut memory = Vec::new();
            memory.try_reserve_exact(number(1)? as usize).map_err(Error::other)?;
            // Written, because the kernel gives a page only then.
            memory.resize(number(1)? as usize, 1);
            Ok(Held::Memory(std::hint::black_box(memory)))
        }
        "disk" => fill(text(1), number(2)?),
        "space" => {
            let (total, free) = space(text(1))?;
            println!("space {total} {free}");
            Ok(Held::Nothing)
        }
        "sync" => {
            for _ in 0..number(4)? {
                println!("took {}", sync(text(1), number(2)?, number(3)?)?);
            }
            Ok(Held::Nothing)
        }
        other => Err(Error::other(format!("unknown: {other}"))),
    }
}

/// Starts threads that sleep: so many, or fewer where the kernel refuses another.
fn sleep(threads: u64) -> Result<Held, Error> {
    for _ in 0..threads {
        match std::thread::Builder::new().stack_size(16 << 10).spawn(|| loop { std::thread::park() }) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            other => drop(other?),
        }
    }
    Ok(Held::Nothing)
}

/// How many nanoseconds it takes to write so many bytes in `folder` so often, each time until the disk has them.
fn sync(folder: &str, bytes: u64, times: u64) -> Result<u128, Error> {
    let mut file = nameless(folder)?;
    let since = std::time::Instant::now();
    for _ in 0..times {
        std::io::copy(&mut std::io::repeat(1).take(bytes), &mut file)?;
        file.sync_all()?;
    }
    Ok(since.elapsed().as_nanos())
}

/// A file without a name: the kernel frees it when this process ends, however it ends.
fn nameless(folder: &str) -> Result<File, Error> {
    let path = PathBuf::from(folder).join(format!(".chaos-press-{}", std::process::id()));
    let file = File::create(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

fn fill(folder: &str, permille: u64) -> Result<Held, Error> {
    let mut file = nameless(folder)?;
    let (total, free) = space(folder)?;
    let mut missing = (total / 1000 * permille).saturating_sub(total - free);
    let zeros = vec![0; 64 << 10];
    while missing > 0 || permille >= 1000 {
        let piece = if permille >= 1000 { zeros.len() } else { zeros.len().min(missing as usize) };
        match file.write(&zeros[..piece]) {
            Ok(0) => break,
            Ok(written) => missing = missing.saturating_sub(written as u64),
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
            Err(error) => return Err(error),
        }
    }
    file.sync_all()?;
    Ok(Held::Filler(file))
}

/// The size of the file system of `folder`, and what is free of it, in bytes.
fn space(folder: &str) -> Result<(u64, u64), Error> {
    unsafe extern "C" {
        fn statvfs(path: *const std::ffi::c_char, space: *mut u64) -> std::ffi::c_int;
    }
    let folder = std::ffi::CString::new(folder)?;
    // On Linux with 64 bits the record begins with words of 64 bits: block size, fragment size, fragments, free ones.
    let mut words = [0u64; 32];
    // SAFETY: the path ends with a zero byte, and the record takes 112 of the 256 bytes.
    if unsafe { statvfs(folder.as_ptr(), words.as_mut_ptr()) } != 0 {
        return Err(Error::last_os_error());
    }
    Ok((words[1] * words[2], words[1] * words[3]))
}
