//! What stands in the place of whole sections that are absent, so that a first file names its ports
//! and nothing else.

use super::network::{Subnet, Vpc};

/// Name of the VPC and of the subnet that nothing was written about.
const NAME: &str = "lab";
/// The prefix of that subnet.
const CIDR: &str = "10.77.1.0/24";

/// The region of a file that names none.
pub(super) fn region() -> String {
    "LAB".to_owned()
}

/// The VPCs of a file without `vpcs`.
pub(super) fn vpcs() -> Vec<Vpc> {
    vec![Vpc {
        id: None,
        name: NAME.to_owned(),
        cidr: None,
    }]
}

/// The subnets of a file without `subnets`; they lie in the only VPC.
pub(super) fn subnets() -> Vec<Subnet> {
    vec![Subnet {
        id: None,
        name: NAME.to_owned(),
        vpc: None,
        cidr: Some(CIDR.to_owned()),
        cidr6: None,
        gateway_ip: None,
        dhcp_servers: Vec::new(),
        mtu: None,
    }]
}
