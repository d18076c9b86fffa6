//! Signatures over headers whose names begin alike.
//!
//! Signature version 4 sorts headers by name. `rust-s3` 0.38 sorts the lines `name:value`, where
//! `x-amz-server-side-encryption:` comes behind `x-amz-server-side-encryption-aws-kms-key-id:`, and every
//! store answers SignatureDoesNotMatch. Here the same request is signed in the right order.

use hmac::Mac as _;
use s3::{
    error::S3Error,
    request::{Request as _, blocking::AttoRequest},
    signing,
};
use std::fmt::Write as _;
use ureq::http::{
    HeaderMap,
    header::{AUTHORIZATION, DATE},
};

/// Signs a request anew. `headers` are those that `request` gave.
pub(super) fn resign(request: &AttoRequest<'_>, headers: &mut HeaderMap) -> Result<(), S3Error> {
    // The two that are not signed.
    let mut signed = headers.clone();
    signed.remove(AUTHORIZATION);
    signed.remove(DATE);
    let mut lines = Vec::new();
    for (name, value) in &signed {
        lines.push((name.as_str(), value.to_str()?.trim()));
    }
    lines.sort_unstable();
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    let canonical = signing::canonical_request(
        &request.command.http_verb().to_string(),
        &request.url()?,
        &signed,
        &request.command.sha256()?,
    )?;
    let as_sorted = signing::canonical_header_string(&signed)?;
    let canonical = canonical.replacen(&as_sorted, &lines.join("\n"), 1);

    let (bucket, moment) = (request.bucket, &request.datetime);
    let region = bucket.region();
    let (access, secret) = (bucket.access_key()?, bucket.secret_key()?);
    let (access, secret) = (access.unwrap_or_default(), secret.unwrap_or_default());
    let key = signing::signing_key(moment, &secret, &region, "s3")?;
    let mut digest = signing::HmacSha256::new_from_slice(&key)?;
    digest.update(signing::string_to_sign(moment, &region, &canonical)?.as_bytes());
    let mut signature = String::new();
    for byte in digest.finalize().into_bytes() {
        write!(signature, "{byte:02x}").expect("a String takes what is written to it");
    }
    let names = signing::signed_header_string(&signed);
    let line = signing::authorization_header(&access, moment, &region, &names, &signature)?;
    headers.insert(AUTHORIZATION, line.parse()?);
    Ok(())
}
