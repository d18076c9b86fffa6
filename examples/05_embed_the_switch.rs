//! The daemon inside a program of your own: real TAPs in namespaces, real traffic, and a flow log.
//! Needs root. What it makes it removes.

use anyhow::{Result, ensure};
use std::process::{Command, ExitCode};
use vswitch::{config::Config, run::Daemon};

fn main() -> Result<ExitCode> {
    if !std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    {
        eprintln!("namespaces and TAPs need root; run it as root");
        return Ok(ExitCode::FAILURE);
    }
    let directory = std::env::temp_dir().join(format!("vswitch-example-{}", std::process::id()));
    let (plan, notices) = Config::parse(&config(&directory.display().to_string()), "embedded")?;
    notices.iter().for_each(|notice| eprintln!("{notice}"));

    // Builds the guests' namespaces with their TAPs, starts the workers, and forwards.
    let daemon = Daemon::start(plan, "embedded")?;
    let talked = talk();

    // The program is the daemon's neighbour: it may look at, and into, the switch at any time.
    let shared = daemon.shared();
    {
        let switch = shared.switch.lock();
        for port in switch.ports() {
            let counters = &port.counters;
            println!(
                "{}: sent {}, was delivered {}",
                port.config.name, counters.rx, counters.delivered
            );
        }
    }
    ensure!(shared.audit().holds(), "the conservation identity holds");

    // The last interval is written, and what was made is removed.
    daemon.stop()?;
    println!("\nthe flow log:");
    for file in files(&directory.join("flowlogs"))? {
        println!("{}", std::fs::read_to_string(file)?);
    }
    std::fs::remove_dir_all(&directory)?;
    talked?;
    Ok(ExitCode::SUCCESS)
}

/// vm1 may reach vm2 and not the other way round.
fn talk() -> Result<()> {
    let ping = |netns: &str, to: &str| {
        let arguments = [
            "netns", "exec", netns, "ping", "-c", "3", "-i", "0.1", "-W", "1", to,
        ];
        Command::new("ip")
            .args(arguments)
            .output()
            .map(|output| output.status.success())
    };
    let (there, back) = (
        ping("example-vm1", "10.77.1.12")?,
        ping("example-vm2", "10.77.1.11")?,
    );
    println!("vm1 reaches vm2: {there}; vm2 reaches vm1: {back}");
    ensure!(there && !back, "the groups say otherwise");
    Ok(())
}

fn config(directory: &str) -> String {
    format!(
        "
state_dir: {directory}/state
region: KR1
vpcs: [{{ name: lab, cidr: 10.77.0.0/16 }}]
subnets: [{{ name: app, vpc: lab, cidr: 10.77.1.0/24 }}]
security_groups:
  - {{ name: quiet, rules: [] }}
  - {{ name: ping, rules: [{{ direction: ingress, protocol: icmp, icmp_type: 8 }}] }}
ports:
  - {{ name: vm1, subnet: app, fixed_ips: [10.77.1.11], security_groups: [quiet], tap: {{ netns: example-vm1 }} }}
  - {{ name: vm2, subnet: app, fixed_ips: [10.77.1.12], security_groups: [ping], tap: {{ netns: example-vm2 }} }}
flowlog_loggers:
  - {{ name: all, resource_type: VPC, resource: lab, storage_type: FILE, storage_url: {directory}/flowlogs }}
"
    )
}

/// Every file below a directory.
fn files(directory: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
