//! Words that belong to the configuration but stand for nothing yet.

/// A word that means something the program does not do yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not available yet; write {instead}")]
pub struct Pending {
    /// As it was written.
    pub word: String,
    /// What to write meanwhile.
    pub instead: &'static str,
}

/// Refuses the profiles, formats, compressions and fields that are still to come. The only
/// list of them: what arrives is taken off it.
///
/// # Errors
/// [`Pending`] with the word and what to write instead.
pub fn pending(word: &str) -> Result<(), Pending> {
    let instead = match word {
        "nhn-24" | "aws-v2" | "aws-v5" => "the profile nhn-18 or a list of its fields",
        "PARQUET" => "log_format: CSV",
        "GZIP" | "ZSTD" => "compression_type: RAW",
        "reason" | "rule_id" | "security_group_id" | "is_reply" | "connections" | "icmp_type"
        | "icmp_code" | "tcp_flags_all" | "first_ns" | "last_ns" | "policy_epoch"
        | "interface_name" | "instance_name" | "mac_src" | "mac_dst" | "skipped_packets"
        | "skipped_bytes" => "fields of the profile nhn-18",
        _ => return Ok(()),
    };
    Err(Pending {
        word: word.to_owned(),
        instead,
    })
}
