//! One request: made and signed by `rust-s3`, sent by `ureq` with limits on time and on what is read.

use super::{Access, Answer, Bucket, Cause, StoreError};
use s3::{
    Region,
    command::{Command, HttpMethod},
    creds::Credentials,
    request::{Request as _, blocking::AttoRequest},
};
use std::{fs, io, io::Read as _, time::Duration};
use ureq::{
    Agent, Body,
    http::{Method, Request, Response},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// Longest time to connect; an answer may take longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Slowest transfer that is waited for, bytes per second.
const BYTES_PER_S_MIN: u64 = 64 * 1024;

/// Bytes of a body that are handed on at a time.
const PIECE: usize = 64 * 1024;

/// How great a body may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// What is awaited: the more, the longer it may take.
    pub(super) awaited: u64,
    /// What is taken at most.
    pub(super) limit: u64,
}

/// A connection's worth of requests to one bucket.
pub(super) struct Client {
    bucket: Bucket,
    access: Access,
    signer: Box<s3::Bucket>,
    agent: Agent,
}

impl Client {
    /// Reads secrets and certificates.
    pub(super) fn new(bucket: &Bucket, access: Access) -> Result<Self, StoreError> {
        let (key, secret) = (bucket.access_key.read()?, bucket.secret_key.read()?);
        let credentials = Credentials::new(Some(&key), Some(&secret), None, None, None);
        let credentials = credentials.map_err(|error| refused(bucket, &error))?;
        let region = Region::Custom {
            region: bucket.region.clone(),
            endpoint: bucket.endpoint.clone(),
        };
        let signer = s3::Bucket::new(&bucket.name, region, credentials)
            .map_err(|error| refused(bucket, &error))?;
        let signer = match bucket.path_style {
            true => signer.with_path_style(),
            false => signer,
        };
        let agent = agent(bucket)?;
        Ok(Self {
            bucket: bucket.clone(),
            access,
            signer,
            agent,
        })
    }

    /// Sends a command; an answer that is no success is an error.
    pub(super) fn send(&self, key: &str, command: Command<'_>) -> Result<Answer, StoreError> {
        let response = self.exchange(key, command, 0)?;
        let answer = Answer::read(response).map_err(|error| self.unreachable(&error))?;
        match answer.is_success() {
            true => Ok(answer),
            false => Err(self.failure(&answer)),
        }
    }

    /// Sends a command whose answer has a body of some size, and writes the body to `to`.
    ///
    /// # Errors
    /// Also for a body greater than `sizes.limit`, and for one that `to` does not take.
    pub(super) fn fetch(
        &self,
        key: &str,
        command: Command<'_>,
        sizes: Sizes,
        to: &mut dyn io::Write,
    ) -> Result<(), StoreError> {
        let response = self.exchange(key, command, sizes.awaited)?;
        if !response.status().is_success() {
            let answer = Answer::read(response).map_err(|error| self.unreachable(&error))?;
            return Err(self.failure(&answer));
        }
        let mut body = response.into_body().into_reader();
        let mut piece = vec![0; PIECE];
        let mut left = sizes.limit;
        loop {
            let read = match body.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.unreachable(&ureq::Error::Io(error))),
            };
            let Some(rest) = left.checked_sub(read as u64) else {
                return Err(self.too_great(sizes.limit));
            };
            left = rest;
            to.write_all(piece.get(..read).unwrap_or_default())
                .map_err(|error| self.not_held(&error))?;
        }
    }

    fn too_great(&self, limit: u64) -> StoreError {
        let (endpoint, bucket) = (&self.bucket.endpoint, &self.bucket.name);
        let text = format!("{endpoint}/{bucket}: the answer is greater than {limit} bytes");
        StoreError::new(Cause::Refused, text)
    }

    fn not_held(&self, error: &io::Error) -> StoreError {
        let folder = std::env::temp_dir();
        let text = format!(
            "cannot hold an object of {} in {}: {error}; name a folder with room by TMPDIR",
            self.bucket.name,
            folder.display()
        );
        StoreError::new(Cause::Refused, text)
    }

    /// One request. The more bytes go either way, the longer it may take.
    fn exchange(
        &self,
        key: &str,
        command: Command<'_>,
        awaited: u64,
    ) -> Result<Response<Body>, StoreError> {
        let signed = AttoRequest::new(&self.signer, key, command);
        let signed = signed.map_err(|error| refused(&self.bucket, &error))?;
        let (headers, url, body) = signed
            .headers()
            .and_then(|headers| Ok((headers, signed.url()?, signed.request_body()?)))
            .map_err(|error| refused(&self.bucket, &error))?;
        let bytes = awaited.saturating_add(body.len() as u64);
        let patience = self.bucket.timeout + Duration::from_secs(bytes / BYTES_PER_S_MIN);
        let mut request = Request::builder()
            .method(method(&signed.command.http_verb()))
            .uri(url.as_str());
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request
            .body(&*body)
            .map_err(|error| refused(&self.bucket, &error))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(patience)).build();
        let response = self.agent.run(request);
        response.map_err(|error| self.unreachable(&error))
    }

    /// The error that an answer means.
    pub(super) fn failure(&self, answer: &Answer) -> StoreError {
        answer.failure(&self.bucket, self.access)
    }

    /// An answer that says success and lacks what belongs to it.
    pub(super) fn unexpected(&self, answer: &Answer, what: &str) -> StoreError {
        let text = format!(
            "{}: the answer {} {what}; is this an S3 store?",
            self.bucket.endpoint, answer.status
        );
        StoreError::new(Cause::Refused, text)
    }

    fn unreachable(&self, error: &ureq::Error) -> StoreError {
        let mut text = format!("{}: no answer: {error}", self.bucket.endpoint);
        if text.contains("certificate") {
            text.push_str("; name the certificate of the store's authority with ca_file");
        }
        StoreError::new(Cause::Unreachable, text)
    }
}

/// One connection per request: an idle one is closed by then, and some stores send stray bytes on it.
fn agent(bucket: &Bucket) -> Result<Agent, StoreError> {
    let tls = match bucket.endpoint.starts_with("https://") {
        true => TlsConfig::builder()
            .root_certs(authorities(bucket)?)
            .build(),
        false => TlsConfig::default(),
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .timeout_connect(Some(CONNECT_TIMEOUT.min(bucket.timeout)))
        .timeout_recv_response(Some(bucket.timeout))
        .tls_config(tls)
        .build();
    Ok(config.new_agent())
}

/// Who may vouch for the store: those of `ca_file`, else those of the system.
fn authorities(bucket: &Bucket) -> Result<RootCerts, StoreError> {
    let certificates: Vec<Certificate<'static>> = match &bucket.ca_file {
        Some(path) => {
            let pem = fs::read(path);
            let pem = pem.map_err(|error| unusable(path.display(), &error))?;
            let items: Result<Vec<_>, _> = parse_pem(&pem).collect();
            let items = items.map_err(|error| unusable(path.display(), &error))?;
            let certificates = items.into_iter().filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            certificates.collect()
        }
        None => {
            let system = rustls_native_certs::load_native_certs().certs.into_iter();
            system
                .map(|der| Certificate::from_der(&der).to_owned())
                .collect()
        }
    };
    if certificates.is_empty() {
        let nothing = io::Error::other("no certificate in it");
        return Err(match &bucket.ca_file {
            Some(path) => unusable(path.display(), &nothing),
            None => unusable("the system's certificates", &nothing),
        });
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

fn unusable(what: impl std::fmt::Display, error: &dyn std::fmt::Display) -> StoreError {
    let text = format!("cannot use {what}: {error}; name the authority's certificate with ca_file");
    StoreError::new(Cause::Refused, text)
}

/// A request that cannot be made from what the configuration says.
fn refused(bucket: &Bucket, error: &dyn std::fmt::Display) -> StoreError {
    let text = format!("{}: no request can be made: {error}", bucket.endpoint);
    StoreError::new(Cause::Refused, text)
}

const fn method(verb: &HttpMethod) -> Method {
    match verb {
        HttpMethod::Get => Method::GET,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Post => Method::POST,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Head => Method::HEAD,
    }
}
