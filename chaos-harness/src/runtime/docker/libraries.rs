//! Which shared libraries an executable needs.

use std::io::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Libraries that the C library loads by itself when names are looked up.
const BESIDE_LIBC: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];
const INTERPRETER: u32 = 3;

/// The loader and the libraries of an executable, as `ldd` names them; none for a static one.
pub(in crate::runtime) fn of(executable: &Path) -> Result<Vec<PathBuf>> {
    if !is_dynamic(&std::fs::read(executable)?) {
        return Ok(Vec::new());
    }
    let output = Command::new("ldd").arg(executable).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut libraries = listed(&said).map_err(std::io::Error::other)?;
    if libraries.is_empty() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(std::io::Error::other(format!("ldd names no libraries of {}: {reason}", executable.display())));
    }
    let libc = libraries.iter().find(|library| library.ends_with("libc.so.6")).and_then(|libc| libc.parent());
    let beside = libc.into_iter().flat_map(|folder| BESIDE_LIBC.map(|name| folder.join(name)));
    let beside: Vec<PathBuf> = beside.filter(|library| library.is_file()).collect();
    libraries.extend(beside);
    libraries.sort();
    libraries.dedup();
    Ok(libraries)
}

/// The paths in what `ldd` says.
fn listed(said: &str) -> std::result::Result<Vec<PathBuf>, String> {
    let mut libraries = Vec::new();
    for line in said.lines().map(str::trim) {
        if line.ends_with("not found") {
            return Err(line.to_owned());
        }
        let path = line.split_once(" => ").map_or(line, |(_, path)| path);
        let path = path.split(" (").next().unwrap_or(path);
        if path.starts_with('/') {
            libraries.push(PathBuf::from(path));
        }
    }
    Ok(libraries)
}

/// Whether it names a loader: a static one, position-independent or not, does not.
fn is_dynamic(elf: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| {
        let read = elf.get(at..at + bytes)?;
        Some(read.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    // Little-endian ELF, of 64 or 32 bits, as on all machines that Docker runs on but for one or two.
    let headers = || {
        let wide = elf.starts_with(b"\x7fELF") && *elf.get(4)? == 2;
        let (table, size, count) = if wide { (0x20, 0x36, 0x38) } else { (0x1c, 0x2a, 0x2c) };
        Some((number(table, if wide { 8 } else { 4 })?, number(size, 2)?, number(count, 2)?))
    };
    let Some((table, size, count)) = headers() else { return false };
    (0..count).any(|index| {
        let at = table.saturating_add(index * size);
        usize::try_from(at).ok().and_then(|at| number(at, 4)) == Some(u64::from(INTERPRETER))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_among_them_and_what_is_no_file_is_not() {
        let said = "\tlinux-vdso.so.1 (0x00007fff)\n\tlibgcc_s.so.1 => /lib/x/libgcc_s.so.1 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(listed(said).unwrap(), ["/lib/x/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from));
        assert_eq!(listed("\tstatically linked\n").unwrap(), Vec::<PathBuf>::new());
        assert_eq!(listed("\tlibfoo.so => not found\n").unwrap_err(), "libfoo.so => not found");
    }

    #[test]
    fn this_test_needs_the_c_library() {
        let executable = std::env::current_exe().unwrap();
        assert!(is_dynamic(&std::fs::read(&executable).unwrap()), "the tests are built for the usual target");
        let libraries = of(&executable).unwrap();
        assert!(libraries.iter().all(|library| library.is_absolute() && library.is_file()), "{libraries:?}");
        let is_there = |part: &str| libraries.iter().any(|library| library.to_string_lossy().contains(part));
        assert!(is_there("libc.") && (is_there("/ld-") || is_there("/ld.")), "{libraries:?}");
        assert!(!is_dynamic(b"#!/bin/sh\n") && !is_dynamic(b"\x7fELF\x02"));
    }
}
