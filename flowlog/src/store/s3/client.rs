//! One request: made and signed by `rust-s3`, sent by `ureq` with limits on time and on what is read.

use super::{
    Access, Answer, Bucket, Cause, StoreError, early::Early, proxy, proxy::Chosen, resign::resign,
    tls::Tls,
};
use crate::store::{Encryption, Secret};
use s3::{
    Region,
    command::{Command, HttpMethod},
    creds::Credentials,
    request::{Request as _, blocking::AttoRequest},
};
use std::{io, io::Read as _, time::Duration};
use ureq::{
    Agent, Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, Uri},
    unversioned::{
        resolver::DefaultResolver,
        transport::{ConnectProxyConnector, Connector as _, TcpConnector},
    },
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
    /// Signs what begins an object, where the objects are to be encrypted.
    encrypting: Option<Box<s3::Bucket>>,
    agent: Agent,
    proxy: Option<Chosen>,
}

impl Client {
    /// Reads secrets and certificates.
    pub(super) fn new(bucket: &Bucket, access: Access) -> Result<Self, StoreError> {
        let (key, secret) = (bucket.access_key.read()?, bucket.secret_key.read()?);
        let token = bucket
            .session_token
            .as_ref()
            .map(Secret::read)
            .transpose()?;
        let credentials = Credentials::new(Some(&key), Some(&secret), None, token.as_deref(), None);
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
        let encrypting = bucket.encryption.as_ref().map(|encryption| {
            let headers = headers(encryption).map_err(|error| refused(bucket, &error))?;
            let signer = signer.with_extra_headers(headers);
            Ok(Box::new(signer.map_err(|error| refused(bucket, &error))?))
        });
        let target: Uri = signer
            .url()
            .parse()
            .map_err(|error| refused(bucket, &error))?;
        let proxy = proxy::of_environment(&target)?;
        let agent = agent(bucket, proxy.as_ref())?;
        Ok(Self {
            bucket: bucket.clone(),
            access,
            signer,
            encrypting: encrypting.transpose()?,
            agent,
            proxy,
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
        // Stores refuse these headers with anything else.
        let begins_object = matches!(
            command,
            Command::PutObject {
                multipart: None,
                ..
            } | Command::InitiateMultipartUpload { .. }
        );
        let signer = match &self.encrypting {
            Some(encrypting) if begins_object => encrypting,
            _ => &self.signer,
        };
        let signed = AttoRequest::new(signer, key, command);
        let signed = signed.map_err(|error| refused(&self.bucket, &error))?;
        let is_encrypted = begins_object && self.encrypting.is_some();
        let (headers, url, body) = signed
            .headers()
            .and_then(|mut headers| {
                if is_encrypted {
                    resign(&signed, &mut headers)?;
                }
                Ok((headers, signed.url()?, signed.request_body()?))
            })
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
        let endpoint = &self.bucket.endpoint;
        let error = match error {
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        let text = match &self.proxy {
            Some(proxy) => format!(
                "{endpoint}: no answer through the proxy {}: {error}; NO_PROXY exempts a host from it",
                proxy.name
            ),
            None => format!("{endpoint}: no answer: {error}"),
        };
        StoreError::new(Cause::Unreachable, text)
    }
}

/// One connection per request: an idle one is closed by then, and some stores send stray bytes on it.
fn agent(bucket: &Bucket, proxy: Option<&Chosen>) -> Result<Agent, StoreError> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .timeout_connect(Some(CONNECT_TIMEOUT.min(bucket.timeout)))
        .timeout_recv_response(Some(bucket.timeout))
        .proxy(proxy.map(|proxy| proxy.proxy.clone()))
        .build();
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(Early)
            .chain(Tls::new(bucket)?);
    Ok(Agent::with_parts(
        config,
        connector,
        DefaultResolver::default(),
    ))
}

/// What a bucket's policy may demand of every object.
fn headers(encryption: &Encryption) -> Result<HeaderMap, ureq::http::Error> {
    const ALGORITHM: &str = "x-amz-server-side-encryption";
    const KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
    let mut headers = HeaderMap::new();
    match encryption {
        Encryption::Aes256 => {
            headers.insert(ALGORITHM, HeaderValue::from_static("AES256"));
        }
        Encryption::Kms { key_id } => {
            headers.insert(ALGORITHM, HeaderValue::from_static("aws:kms"));
            if let Some(key_id) = key_id {
                headers.insert(KEY, HeaderValue::from_str(key_id)?);
            }
        }
    }
    Ok(headers)
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
