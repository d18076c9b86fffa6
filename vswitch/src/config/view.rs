//! A plan for programs: what `vswitch check --json` prints. Keys are those of the configuration; rules
//! are in their text form.

use super::plan::{ObjectStorage, Plan, Port, Role, Subnet, Vpc, Workers};
use flowlog::{EmptyIntervals, Encryption, Filter, LoggerSpec, Resource, Secret, Storage};
use secgroup::{AddressGroup, Group};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("region", &self.region)?;
        map.serialize_entry("vpcs", &list(&self.vpcs, vpc))?;
        map.serialize_entry("subnets", &list(&self.subnets, |of| subnet(self, of)))?;
        map.serialize_entry("address_groups", &list(&self.address_groups, address_group))?;
        map.serialize_entry("security_groups", &list(&self.groups, group))?;
        map.serialize_entry("ports", &list(&self.ports, |of| port(self, of)))?;
        map.serialize_entry("flowlog_loggers", &list(&self.loggers, logger))?;
        map.serialize_entry(
            "object_storage",
            &self.object_storage.as_ref().map(object_storage),
        )?;
        map.serialize_entry("conntrack", &conntrack(self))?;
        map.serialize_entry("spool", &json!({ "max_bytes": self.spool_max_bytes }))?;
        map.serialize_entry("control_socket", &self.control_socket)?;
        map.serialize_entry("state_dir", &self.state_dir)?;
        map.serialize_entry("readers_group", &self.access.readers())?;
        map.serialize_entry("workers", &workers(self.workers))?;
        map.serialize_entry("io", self.io.name())?;
        map.serialize_entry("time_zone", &self.time_zone)?;
        map.end()
    }
}

fn list<T>(of: &[T], view: impl Fn(&T) -> Value) -> Vec<Value> {
    of.iter().map(view).collect()
}

fn vpc(of: &Vpc) -> Value {
    json!({ "id": of.id, "name": of.name, "cidr": of.cidr, "default_group": of.default_group })
}

fn subnet(plan: &Plan, of: &Subnet) -> Value {
    json!({
        "id": of.id,
        "name": of.name,
        "vpc": plan.vpcs[of.vpc].name,
        "cidr": of.cidr,
        "cidr6": of.cidr6,
        "gateway_ip": of.gateway_ips,
        "dhcp_servers": of.dhcp_servers,
        "mtu": of.mtu,
    })
}

fn address_group(of: &AddressGroup) -> Value {
    json!({ "id": of.id, "name": of.name, "addresses": of.prefixes })
}

fn group(of: &Group) -> Value {
    let rules = list(
        &of.rules,
        |rule| json!({ "id": rule.id, "rule": rule.to_string() }),
    );
    json!({ "id": of.id, "name": of.name, "stateful": of.stateful, "rules": rules })
}

fn port(plan: &Plan, of: &Port) -> Value {
    let pairs = list(
        &of.allowed_address_pairs,
        |pair| json!({ "ip_address": pair.prefix, "mac_address": pair.mac.map(|mac| mac.to_string()) }),
    );
    let role = match of.role {
        Role::Instance => "instance",
        Role::Uplink => "uplink",
    };
    json!({
        "id": of.id,
        "name": of.name,
        "instance": of.instance,
        "instance_id": of.instance_id,
        "subnet": plan.subnets[of.subnet].name,
        "role": role,
        "mac_address": of.mac.to_string(),
        "fixed_ips": of.fixed_ips,
        "security_groups": of.groups,
        "allowed_address_pairs": pairs,
        "port_security_enabled": of.port_security,
        "permitted_ethertypes": list(&of.permitted_ethertypes, |kind| format!("0x{kind:04x}").into()),
        "strict_rx": of.strict_rx,
        "max_macs": of.max_macs,
        "conntrack_limit": of.conntrack_limit,
        "conntrack_timeouts": own_timeouts(of),
        "tcp_be_liberal": of.tcp_be_liberal,
        "flow_limit": of.flow_limit,
        "tap": { "name": of.tap.name, "netns": of.tap.netns, "mtu": of.tap.mtu },
    })
}

fn logger(of: &LoggerSpec) -> Value {
    let (resource_type, resource) = match of.resource {
        Resource::Vpc(id) => ("VPC", id),
        Resource::Subnet(id) => ("SUBNET", id),
        Resource::Port(id) => ("PORT", id),
    };
    let filter = match of.filter {
        Filter::All => "ALL",
        Filter::Accept => "ACCEPT",
        Filter::Drop => "DROP",
    };
    let empty_intervals = match of.empty_intervals {
        EmptyIntervals::Write => "write",
        EmptyIntervals::Skip => "skip",
    };
    json!({
        "id": of.id,
        "name": of.name,
        "resource_type": resource_type,
        "resource": resource,
        "filter": filter,
        "connection_setup_only": of.connection_setup_only,
        "aggregation_interval": format!("{}s", of.interval_s),
        "fields": list(&of.fields, |field| field.name().into()),
        "columns": of.format.columns(&of.fields),
        "log_format": of.format.as_str(),
        "compression_type": of.format.compression().as_str(),
        "scope": of.scope.as_str(),
        "flow_limit": of.flow_limit,
        "account_id": of.layout.aws.as_ref().map(|aws| aws.account.as_str()),
        "partition_period": of.layout.folders(),
        "rows_per_file": of.layout.rows_per_file,
        "empty_intervals": empty_intervals,
        "storage_type": storage_type(&of.storage),
        "storage_url": of.storage.to_string(),
        "admin_state_up": of.admin_state_up,
    })
}

const fn storage_type(of: &Storage) -> &'static str {
    match of {
        Storage::Directory(_) => "FILE",
        Storage::Bucket(_) => "OBS",
        Storage::Ipfix(_) => "IPFIX",
    }
}

fn object_storage(of: &ObjectStorage) -> Value {
    let secret = |of: &Secret| match of {
        Secret::Env(name) => json!({ "env": name }),
        Secret::File(path) => json!({ "file": path }),
    };
    json!({
        "endpoint": of.endpoint,
        "region": of.region,
        "path_style": of.path_style,
        "access_key": secret(&of.access_key),
        "secret_key": secret(&of.secret_key),
        "session_token": of.session_token.as_ref().map(secret),
        "server_side_encryption": of.encryption.as_ref().map(|encryption| match encryption {
            Encryption::Aes256 => "AES256",
            Encryption::Kms { .. } => "aws:kms",
        }),
        "kms_key_id": match &of.encryption {
            Some(Encryption::Kms { key_id }) => key_id.as_ref(),
            _ => None,
        },
        "ca_file": of.ca_file,
        "timeout": format!("{}s", of.timeout.as_secs()),
    })
}

/// The timeouts that a port has of its own.
fn own_timeouts(of: &Port) -> Value {
    let own = of.conntrack_timeouts.unwrap_or_default();
    let names = secgroup::conntrack::Timeouts::NAMES.iter();
    let given = names.filter_map(|name| Some(((*name).to_owned(), own.get(name)?.into())));
    Value::Object(given.collect())
}

fn conntrack(plan: &Plan) -> Value {
    let settings = &plan.conntrack.settings;
    let names = secgroup::conntrack::Timeouts::NAMES.iter();
    let timeouts = names.map(|name| ((*name).to_owned(), settings.timeouts.get(name).into()));
    json!({
        "limit": plan.conntrack.limit,
        "tcp_loose": settings.tcp_loose,
        "tcp_be_liberal": settings.tcp_be_liberal,
        "persist_established": plan.conntrack.persist_established,
        "timeouts": timeouts.collect::<serde_json::Map<_, _>>(),
    })
}

fn workers(of: Workers) -> Value {
    match of {
        Workers::Auto => "auto".into(),
        Workers::Fixed(number) => number.get().into(),
    }
}
