//! Identities that follow from names, so that they stay the same over restarts and hosts.
//!
//! An id that is not given is the UUIDv5 (RFC 9562, section 5.5) of `vswitch:KIND:NAME` in the URL
//! namespace; the built-in group of a VPC has the name `VPC/default`, an instance its own name. A MAC
//! that is not given is `fa:16:3e` (OpenStack's prefix) and three bytes of a hash of the port's id.

use packet::Mac;
use std::collections::HashSet;
use std::fmt;
use uuid::Uuid;

/// First three bytes of derived MAC addresses (Neutron `base_mac`): locally administered, unicast.
const BASE_MAC: [u8; 3] = [0xfa, 0x16, 0x3e];

/// The kinds of things that have ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `vpc`.
    Vpc,
    /// `subnet`.
    Subnet,
    /// `address_group`.
    AddressGroup,
    /// `security_group`.
    SecurityGroup,
    /// `port`.
    Port,
    /// `instance`.
    Instance,
    /// `logger`.
    Logger,
}

impl Kind {
    /// The word in `vswitch:KIND:NAME`.
    const fn word(self) -> &'static str {
        match self {
            Self::Vpc => "vpc",
            Self::Subnet => "subnet",
            Self::AddressGroup => "address_group",
            Self::SecurityGroup => "security_group",
            Self::Port => "port",
            Self::Instance => "instance",
            Self::Logger => "logger",
        }
    }

    /// The id of the thing of this kind and name.
    #[must_use]
    pub fn derive(self, name: &str) -> Uuid {
        Uuid::new_v5(
            &Uuid::NAMESPACE_URL,
            format!("vswitch:{}:{name}", self.word()).as_bytes(),
        )
    }
}

/// For people: `security group`, `VPC`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vpc => "VPC",
            Self::Subnet => "subnet",
            Self::AddressGroup => "address group",
            Self::SecurityGroup => "security group",
            Self::Port => "port",
            Self::Instance => "instance",
            Self::Logger => "logger",
        })
    }
}

/// The MAC of a port without a given one, unlike all that are taken.
///
/// Three bytes meet by chance among some thousand ports; the next try hashes the id with a number.
pub(super) fn derive_mac(id: Uuid, taken: &HashSet<Mac>) -> Mac {
    (0_u32..)
        .map(|attempt| {
            let hash = Uuid::new_v5(&id, format!("vswitch:mac:{attempt}").as_bytes());
            let [a, b, c] = BASE_MAC;
            let [x, y, z, ..] = *hash.as_bytes();
            Mac([a, b, c, x, y, z])
        })
        .find(|mac| !taken.contains(mac))
        .expect("there are fewer ports than the 2^24 addresses of the prefix")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_follows_from_kind_and_name_alone() {
        assert_eq!(Kind::Port.derive("vm1"), Kind::Port.derive("vm1"));
        assert_ne!(Kind::Port.derive("vm1"), Kind::Instance.derive("vm1"));
        let documented = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"vswitch:port:vm1");
        assert_eq!(Kind::Port.derive("vm1"), documented);
    }

    #[test]
    fn a_derived_mac_is_unicast_locally_administered_and_not_taken() {
        let id = Kind::Port.derive("vm1");
        let first = derive_mac(id, &HashSet::new());
        assert!(first.is_legal_source() && first.0[0] & 2 == 2);
        let second = derive_mac(id, &HashSet::from([first]));
        assert_ne!(first, second);
    }
}
