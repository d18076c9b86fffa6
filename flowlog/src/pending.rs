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

/// Refuses the storages that are still to come. The only list of them: what arrives is taken off it.
///
/// # Errors
/// [`Pending`] with the word and what to write instead.
pub fn pending(word: &str) -> Result<(), Pending> {
    let instead = match word {
        "OBS" | "IPFIX" => "storage_type: FILE",
        _ => return Ok(()),
    };
    Err(Pending {
        word: word.to_owned(),
        instead,
    })
}
