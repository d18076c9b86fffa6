//! What a store answered, and what that means for whoever reads it.

use super::{Access, Bucket, Cause, StoreError};
use jiff::{Timestamp, fmt::rfc2822};
use std::io::Read as _;
use ureq::{Body, http::Response};

/// Bytes of an answer that are read: an upload's id and an error's text are far below.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Characters of a store's own words that are passed on.
const WORDS_MAX: usize = 200;

/// Difference of the clocks that is worth mentioning beside another refusal, seconds.
const SKEW_WORTH_NOTING_S: i64 = 60;

/// Status, the headers that matter, and the beginning of the body.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    date: Option<String>,
    /// The region that the store says the bucket is in.
    region: Option<String>,
    location: Option<String>,
    body: String,
}

impl Answer {
    pub(super) fn read(response: Response<Body>) -> Result<Self, ureq::Error> {
        let (parts, body) = response.into_parts();
        let header = |name: &str| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let mut bytes = Vec::new();
        body.into_reader()
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(ureq::Error::Io)?;
        Ok(Self {
            status: parts.status.as_u16(),
            etag: header("etag"),
            date: header("date"),
            region: header("x-amz-bucket-region"),
            location: header("location"),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    pub(super) const fn is_success(&self) -> bool {
        self.status / 100 == 2
    }

    /// The text of an element, as it stands there.
    pub(super) fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(text)
    }

    /// What went wrong, in the words of who can mend it.
    pub(super) fn failure(&self, bucket: &Bucket, access: Access) -> StoreError {
        let code = self.element("Code").unwrap_or_default();
        let (cause, what) = self.meaning(code, bucket, access);
        let mut text = format!("{}/{}: {what}", bucket.endpoint, bucket.name);
        let words = [code, self.element("Message").unwrap_or_default()];
        let words = words.join(" ").replace(char::is_control, " ");
        let words: String = words.trim().chars().take(WORDS_MAX).collect();
        text.push_str(&match words.as_str() {
            "" => format!(" ({})", self.status),
            words => format!(" ({} {words})", self.status),
        });
        let skew_s = self.skew_s(Timestamp::now()).unwrap_or(0);
        if skew_s.abs() >= SKEW_WORTH_NOTING_S && cause.is_refusal() {
            let way = if skew_s > 0 { "behind" } else { "ahead of" };
            text.push_str(&format!(
                "; this host's clock is {} s {way} the store's",
                skew_s.abs()
            ));
        }
        StoreError::new(cause, text)
    }

    /// By the error's code where it has one, by the status where that says enough.
    fn meaning(&self, code: &str, bucket: &Bucket, access: Access) -> (Cause, String) {
        let name = &bucket.name;
        let (cause, what) = match (self.status, code) {
            (_, "RequestTimeTooSkewed" | "RequestExpired") => (
                Cause::Clock,
                "the clocks differ too much for a signature; set this host's clock".into(),
            ),
            (_, "ExpiredToken" | "TokenRefreshRequired" | "ExpiredTokenException") => (
                Cause::Credentials,
                match &bucket.session_token {
                    Some(token) => format!("the session token of {token} has expired; renew it"),
                    None => "the access key has expired; renew it".into(),
                },
            ),
            (_, "InvalidToken") => (
                Cause::Credentials,
                match &bucket.session_token {
                    Some(token) => {
                        format!("the session token of {token} does not belong to the access key")
                    }
                    None => format!(
                        "the access key of {} is a temporary one; name its token with \
                         session_token_env or session_token_file",
                        bucket.access_key
                    ),
                },
            ),
            (_, "InvalidAccessKeyId" | "InvalidSecurity") => (
                Cause::Credentials,
                format!(
                    "the store does not know the access key of {}",
                    bucket.access_key
                ),
            ),
            (_, "SignatureDoesNotMatch") => (
                Cause::Credentials,
                format!(
                    "the secret key of {} does not belong to the access key",
                    bucket.secret_key
                ),
            ),
            (_, "AuthorizationHeaderMalformed") => (
                Cause::Refused,
                match self.other_region() {
                    Some(region) => format!(
                        "the store does not go by the region {} but by {region}; write `region: {region}`",
                        bucket.region
                    ),
                    None => format!("the store does not go by the region {}", bucket.region),
                },
            ),
            (413, _) | (_, "EntityTooLarge" | "MaxMessageLengthExceeded") => (
                Cause::Refused,
                match access {
                    Access::Write => "the object is greater than the store, or a proxy before it, \
                                      takes; write a smaller rows_per_file"
                        .into(),
                    Access::Read => "the store takes no request of this size".into(),
                },
            ),
            // What arrived was not what was sent.
            (
                _,
                "RequestTimeout" | "IncompleteBody" | "BadDigest" | "XAmzContentSHA256Mismatch",
            )
            | (408 | 429, _) => (Cause::Busy, "the store did not get the object".into()),
            (507, _) | (_, "QuotaExceeded" | "InsufficientStorage") => {
                (Cause::Full, "the store has no room left".into())
            }
            (401, _) => (
                Cause::Credentials,
                "the store does not know who asks".into(),
            ),
            (403, _) => (
                Cause::Permission,
                match access {
                    Access::Write => {
                        format!("the access key may not write to the bucket {name}; grant it")
                    }
                    Access::Read => format!(
                        "the access key may not list and read the bucket {name}; grant it, or use another key"
                    ),
                },
            ),
            (404, "" | "NoSuchBucket" | "NotFound") => (
                Cause::Missing,
                match access {
                    Access::Write => {
                        format!("there is no bucket {name}; create it, or correct storage_url")
                    }
                    Access::Read => format!("there is no bucket {name}"),
                },
            ),
            (404, "NoSuchKey") => (Cause::Missing, "the object is gone".into()),
            // An upload in parts that the store gave up; the object is sent again as a whole.
            (404, "NoSuchUpload") => (Cause::Busy, "the store dropped the upload".into()),
            (404, _) => (Cause::Missing, format!("the bucket {name} is not usable")),
            (300..=399, _) => (Cause::Refused, self.elsewhere(bucket)),
            (501, _) => (Cause::Refused, "the store cannot do this".into()),
            (500..=599, _) => (Cause::Busy, "the store cannot at the moment".into()),
            _ => (Cause::Refused, "the store refuses".into()),
        };
        (cause, what)
    }

    /// Where a redirect points.
    fn elsewhere(&self, bucket: &Bucket) -> String {
        let mut text = "the store points elsewhere".to_owned();
        let host = self.location.as_deref().and_then(host_of);
        if let Some(host) = host.or_else(|| self.element("Endpoint").map(plain)) {
            text.push_str(&format!(", to {host}"));
        }
        match self.other_region().filter(|region| *region != bucket.region) {
            Some(region) => text.push_str(&format!(
                ": the bucket is in the region {region}; write `region: {region}`, and the endpoint of that region"
            )),
            None => text.push_str("; correct endpoint and region"),
        }
        text
    }

    /// The region that the store names, in its head or its body.
    fn other_region(&self) -> Option<String> {
        let region = self.region.as_deref().or_else(|| self.element("Region"))?;
        Some(plain(region)).filter(|region| !region.is_empty())
    }

    /// How far the store's clock is ahead of `now`, seconds.
    fn skew_s(&self, now: Timestamp) -> Option<i64> {
        let date = rfc2822::parse(self.date.as_deref()?).ok()?;
        Some(date.timestamp().as_second() - now.as_second())
    }
}

/// The host of an address, without what could be a signature behind it.
fn host_of(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    rest.split(['/', '?', '#']).next().map(plain)
}

/// A name of the store's that may stand in a message.
fn plain(name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.:[]".contains(*c);
    name.chars().filter(is_plain).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use std::time::Duration;

    fn bucket() -> Bucket {
        Bucket {
            endpoint: "http://127.0.0.1:9000".into(),
            region: "KR1".into(),
            path_style: true,
            name: "logs".into(),
            prefix: String::new(),
            access_key: Secret::Env("ACCESS".into()),
            secret_key: Secret::Env("SECRET".into()),
            session_token: None,
            encryption: None,
            ca_file: None,
            timeout: Duration::from_secs(1),
        }
    }

    fn answer(status: u16, code: &str) -> Answer {
        Answer {
            status,
            body: format!("<Error><Code>{code}</Code><Message>so\nit is</Message></Error>"),
            ..Answer::default()
        }
    }

    #[test]
    fn every_refusal_has_its_cause_and_what_may_pass_is_tried_again() {
        let cases = [
            (403, "InvalidAccessKeyId", Cause::Credentials),
            (403, "SignatureDoesNotMatch", Cause::Credentials),
            (403, "AccessDenied", Cause::Permission),
            (403, "RequestTimeTooSkewed", Cause::Clock),
            (400, "RequestTimeTooSkewed", Cause::Clock),
            (404, "NoSuchBucket", Cause::Missing),
            (400, "AuthorizationHeaderMalformed", Cause::Refused),
            (400, "InvalidArgument", Cause::Refused),
            (501, "NotImplemented", Cause::Refused),
            (301, "PermanentRedirect", Cause::Refused),
            (307, "TemporaryRedirect", Cause::Refused),
            (413, "", Cause::Refused),
            (400, "EntityTooLarge", Cause::Refused),
            (400, "ExpiredToken", Cause::Credentials),
            (403, "InvalidToken", Cause::Credentials),
            (400, "BadDigest", Cause::Busy),
            (408, "RequestTimeout", Cause::Busy),
            (429, "SlowDown", Cause::Busy),
            (500, "InternalError", Cause::Busy),
            (503, "ServiceUnavailable", Cause::Busy),
            (507, "", Cause::Full),
        ];
        for (status, code, cause) in cases {
            let error = answer(status, code).failure(&bucket(), Access::Write);
            assert_eq!(error.cause, cause, "{status} {code}");
            let is_retried = matches!(cause, Cause::Busy | Cause::Full);
            assert_eq!(error.cause.is_refusal(), !is_retried);
        }
    }

    #[test]
    fn a_refusal_says_what_the_store_said_on_one_line_and_how_the_clocks_differ() {
        let mut answer = answer(403, "AccessDenied");
        let now = Timestamp::now() + Duration::from_secs(600);
        answer.date = Some(rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap());
        let text = answer.failure(&bucket(), Access::Write).to_string();
        assert!(
            text.starts_with("http://127.0.0.1:9000/logs: the access key may not write"),
            "{text}"
        );
        assert!(text.contains("(403 AccessDenied so it is)"), "{text}");
        assert!(text.contains("s behind the store's"), "{text}");
    }

    #[test]
    fn a_redirect_names_the_region_and_a_great_object_the_setting_that_makes_it_smaller() {
        let told = |answer: &Answer| answer.failure(&bucket(), Access::Write).to_string();
        let mut moved = answer(301, "PermanentRedirect");
        moved.region = Some("eu-west-1".into());
        moved.location = Some("https://logs.s3.eu-west-1.example/x?X-Amz-Signature=hush".into());
        let text = told(&moved);
        assert!(text.contains("to logs.s3.eu-west-1.example: the bucket is in the region eu-west-1; write `region: eu-west-1`"), "{text}");
        assert!(!text.contains("hush"), "{text}");
        let mut wrong = answer(400, "AuthorizationHeaderMalformed");
        wrong.body =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
                .into();
        assert!(
            told(&wrong).contains("by the region KR1 but by eu-west-1"),
            "{}",
            told(&wrong)
        );
        assert!(told(&answer(307, "")).contains("correct endpoint and region"));
        assert!(told(&answer(413, "")).contains("write a smaller rows_per_file"));
        assert!(told(&answer(400, "EntityTooLarge")).contains("rows_per_file"));
        assert!(told(&answer(403, "InvalidToken")).contains("session_token_env"));
    }

    #[test]
    fn the_date_of_http_is_understood() {
        let answer = Answer {
            date: Some("Mon, 23 Nov 2026 05:00:00 GMT".into()),
            ..Answer::default()
        };
        let now = Timestamp::from_second(1_795_410_000 - 7).unwrap();
        assert_eq!(answer.skew_s(now), Some(7));
    }
}
