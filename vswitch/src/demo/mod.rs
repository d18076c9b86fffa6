//! `vswitch demo`

/// To be written.
pub fn demo() -> anyhow::Result<std::process::ExitCode> { anyhow::bail!("to be written") }
