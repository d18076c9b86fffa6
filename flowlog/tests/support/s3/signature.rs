//! Signature Version 4, from Amazon's description of it and not from the client's code.

use super::{ACCESS, REGION, SECRET, http::Request};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// How old a signature may be, seconds.
const AGE_S_MAX: i64 = 15 * 60;

/// Whether the request is by who it says, unchanged, and of now.
pub fn check(request: &Request, clock_ahead_s: i64) -> Result<(), (u16, &'static str)> {
    let authorization = request.header("authorization");
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Err((403, "AccessDenied"));
    };
    let field = |name: &str| {
        let fields = fields.split(',').map(str::trim);
        fields
            .filter_map(|field| field.split_once('='))
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    };
    let scope: Vec<&str> = field("Credential").split('/').collect();
    let [access, day, region, service, "aws4_request"] = scope[..] else {
        return Err((400, "AuthorizationHeaderMalformed"));
    };
    if access != ACCESS {
        return Err((403, "InvalidAccessKeyId"));
    }
    if (region, service) != (REGION, "s3") {
        return Err((400, "AuthorizationHeaderMalformed"));
    }
    let moment = request.header("x-amz-date");
    check_age(moment, clock_ahead_s)?;
    let names: Vec<&str> = field("SignedHeaders").split(';').collect();
    if !names.is_sorted() || !names.contains(&"host") || !names.contains(&"x-amz-date") {
        return Err((403, "SignatureDoesNotMatch"));
    }
    let payload = hex(&Sha256::digest(&request.body));
    if request.header("x-amz-content-sha256") != payload {
        return Err((400, "XAmzContentSHA256Mismatch"));
    }
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{moment}\n{day}/{region}/{service}/aws4_request\n{}",
        hex(&Sha256::digest(canonical(request, &names, &payload)))
    );
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            mac(&key, part)
        });
    match hex(&mac(&key, &to_sign)) == field("Signature") {
        true => Ok(()),
        false => Err((403, "SignatureDoesNotMatch")),
    }
}

fn check_age(moment: &str, clock_ahead_s: i64) -> Result<(), (u16, &'static str)> {
    let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", moment);
    let signed = signed.map_err(|_| (403, "AccessDenied"))?;
    let signed = signed
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap()
        .timestamp();
    let now_s = jiff::Timestamp::now().as_second() + clock_ahead_s;
    match (now_s - signed.as_second()).abs() <= AGE_S_MAX {
        true => Ok(()),
        false => Err((403, "RequestTimeTooSkewed")),
    }
}

fn canonical(request: &Request, names: &[&str], payload: &str) -> String {
    let mut queries: Vec<String> = request
        .queries()
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    queries.sort();
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", request.header(name)))
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{payload}",
        request.method,
        request.path,
        queries.join("&"),
        names.join(";"),
    )
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
