//! Ships the network helper: a program of its own that a container can run.
//!
//! Cargo has no way to depend on a program, and to build one at run time takes a workspace that knows it. So this build
//! script is that program: started without arguments it copies itself to where the library includes it from.

#[cfg(feature = "docker")]
fn main() -> std::io::Result<()> {
    helper::main()
}

#[cfg(not(feature = "docker"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}

#[cfg(feature = "docker")]
mod helper {
    use std::io::Result;
    use std::path::PathBuf;

    pub(super) fn main() -> Result<()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if arguments.is_empty() { ship() } else { chaos_harness_netns::helper(&arguments) }
    }

    fn ship() -> Result<()> {
        println!("cargo::rerun-if-changed=build.rs");
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let program = PathBuf::from(variable("OUT_DIR")).join("chaos-network-helper");
        let runs_there = variable("CARGO_CFG_TARGET_ARCH") == std::env::consts::ARCH
            && variable("CARGO_CFG_TARGET_OS") == std::env::consts::OS;
        if runs_there {
            std::fs::copy(std::env::current_exe()?, program).map(drop)
        } else {
            // Built for another machine: the library says that it has no helper.
            std::fs::write(program, [])
        }
    }
}
