//! TLS to a store: who may vouch for it, and what to do about a certificate that is refused.
//!
//! What is named by `ca_file` vouches for the store as an authority, and a certificate that is named
//! there is trusted itself: private stores often have one that is signed by itself and says that it is
//! an authority, which `webpki` refuses as a server's (`CaUsedAsEndEntity`), and curl, OpenSSL and boto3
//! take. Its name and its time are checked like any other's.

use super::{Bucket, Cause, StoreError};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, OtherError,
    RootCertStore, SignatureScheme, StreamOwned,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use std::{
    fmt, io,
    io::{Read as _, Write as _},
    path::PathBuf,
    sync::Arc,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// Wraps connections to `https` addresses.
pub(super) struct Tls {
    /// `None` for a store without TLS.
    config: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the certificates of `ca_file`, else those of the system.
    ///
    /// # Errors
    /// [`Cause::Refused`] for a file without a certificate.
    pub(super) fn new(bucket: &Bucket) -> Result<Self, StoreError> {
        if !bucket.endpoint.starts_with("https://") {
            return Ok(Self { config: None });
        }
        let named = certificates(bucket)?;
        let provider = Arc::new(ring::default_provider());
        let trust = Trust {
            verifier: verifier(&named, &provider).map_err(|error| match &bucket.ca_file {
                Some(path) => unusable(path.display(), &error),
                None => unusable("the system's certificates", &error),
            })?,
            named: match bucket.ca_file {
                Some(_) => named,
                None => Vec::new(),
            },
            ca_file: bucket.ca_file.clone(),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS", &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust))
            .with_no_client_auth();
        Ok(Self {
            config: Some(Arc::new(config)),
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The certificates that are trusted: those of `ca_file`, else those of the system.
fn certificates(bucket: &Bucket) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let nothing = "no certificate in it";
    let Some(path) = &bucket.ca_file else {
        let system = rustls_native_certs::load_native_certs().certs;
        return match system.is_empty() {
            true => Err(unusable("the system's certificates", &nothing)),
            false => Ok(system),
        };
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path.display(), &nothing)),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(path.display(), &error)),
    }
}

fn unusable(what: impl fmt::Display, error: &dyn fmt::Display) -> StoreError {
    let text = format!(
        "cannot use {what}: {error}; name the certificate of the store's authority (PEM) with ca_file"
    );
    StoreError::new(Cause::Refused, text)
}

fn verifier(
    roots: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::client::VerifierBuilderError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build()
}

/// Verifies the store's certificate, and says what helps.
#[derive(Debug)]
struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    /// The certificates of `ca_file`.
    named: Vec<CertificateDer<'static>>,
    ca_file: Option<PathBuf>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .verifier
            .verify_server_cert(end_entity, intermediates, name, ocsp, now);
        let error = match verified {
            // Its time and what it is for were checked before either of these; the name was not. Whether its
            // authority is known does not matter where the certificate itself is.
            Err(rustls::Error::InvalidCertificate(error))
                if (is_authority(&error) || error == CertificateError::UnknownIssuer)
                    && self.names(end_entity) =>
            {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                match verify_server_name(&parsed, name) {
                    Ok(()) => return Ok(ServerCertVerified::assertion()),
                    Err(rustls::Error::InvalidCertificate(error)) => error,
                    Err(error) => return Err(error),
                }
            }
            Err(rustls::Error::InvalidCertificate(error)) => error,
            verified => return verified,
        };
        let text = self.remedy(&error, end_entity, name);
        let error = OtherError(Arc::new(Untrusted(text)));
        Err(CertificateError::Other(error).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl Trust {
    fn names(&self, certificate: &CertificateDer<'_>) -> bool {
        self.named.iter().any(|named| named == certificate)
    }

    /// What is wrong, and what helps.
    fn remedy(
        &self,
        error: &CertificateError,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> String {
        use CertificateError as E;
        let name = name.to_str();
        match error {
            E::ExpiredContext { not_after, .. } => format!(
                "the store's certificate expired on {}; renew it, or set this host's clock",
                date(*not_after)
            ),
            E::Expired => "the store's certificate has expired; renew it".into(),
            E::NotValidYetContext { not_before, .. } => format!(
                "the store's certificate is not valid before {}; set this host's clock, or the \
                 store's before the certificate is made",
                date(*not_before)
            ),
            E::NotValidYet => "the store's certificate is not valid yet; set the clock".into(),
            E::NotValidForNameContext { presented, .. } if presented.is_empty() => format!(
                "the store's certificate has no subject alternative name, and its common name does \
                 not count (RFC 9110, section 4.3.4); make one with subjectAltName for {name}"
            ),
            E::NotValidForNameContext { presented, .. } => format!(
                "the store's certificate is for {}, not for {name}; write one of these names in \
                 endpoint, or add {name} to the certificate",
                presented.join(", ")
            ),
            E::NotValidForName => format!("the store's certificate is not for {name}"),
            error if is_authority(error) => match is_self_signed(certificate) {
                true => self.of_self_signed(),
                false => "the store shows the certificate of an authority as its own; give the \
                          store a certificate that the authority signed (CA:FALSE), or name this \
                          very one with ca_file"
                    .into(),
            },
            E::UnknownIssuer if is_self_signed(certificate) => self.of_self_signed(),
            E::UnknownIssuer => match &self.ca_file {
                Some(path) => format!(
                    "the store's certificate is not signed by an authority of {}; add the \
                     certificate of its authority to that file, or have the store send the \
                     certificates between",
                    path.display()
                ),
                None => "the system knows no authority that signed the store's certificate; name \
                         the authority's certificate with ca_file"
                    .into(),
            },
            E::Revoked => "the store's certificate was revoked; give the store another".into(),
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
                "the store's certificate is not for servers; make one with the extended key usage \
                 serverAuth"
                    .into()
            }
            error => format!("the store's certificate cannot be used: {error}"),
        }
    }

    fn of_self_signed(&self) -> String {
        match &self.ca_file {
            Some(path) => format!(
                "the store's certificate is signed by itself and is another than that of {}; put \
                 the one that the store shows into that file",
                path.display()
            ),
            None => "the store's certificate is signed by itself; name that certificate with \
                     ca_file"
                .into(),
        }
    }
}

/// Whether a certificate names itself as its issuer (RFC 5280, section 4.1).
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    let names = || {
        let (_, certificate, _) = element(certificate)?;
        let (_, mut rest, _) = element(certificate)?;
        if rest.first() == Some(&VERSION) {
            (_, _, rest) = element(rest)?;
        }
        // Serial number and algorithm stand before, the time between.
        let (_, _, rest) = element(rest)?;
        let (_, _, rest) = element(rest)?;
        let (_, issuer, rest) = element(rest)?;
        let (_, _, rest) = element(rest)?;
        let (_, subject, _) = element(rest)?;
        Some((issuer, subject))
    };
    names().is_some_and(|(issuer, subject)| issuer == subject)
}

/// Tag of a certificate's version, which may be missing.
const VERSION: u8 = 0xa0;

/// A DER element's tag and content, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x80 => (usize::from(first & 0x7f), rest),
        // Up to 16 MiB; a certificate is far below.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

/// Whether a certificate is refused because it says of itself that it is an authority.
fn is_authority(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

/// The day and time, in UTC.
fn date(moment: UnixTime) -> String {
    let seconds = i64::try_from(moment.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".into(), |moment| moment.to_string())
}

/// What is wrong with a certificate.
#[derive(Debug)]
struct Untrusted(String);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Untrusted {}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Session>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        let Some(config) = &self.config else {
            return Ok(Some(Either::A(transport)));
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| ureq::Error::BadUri(format!("{host} is no host's name")))?;
        let mut connection = ClientConnection::new(Arc::clone(config), name)
            .map_err(|error| ureq::Error::Io(io::Error::other(error)))?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection
            .complete_io(&mut socket)
            .map_err(|error| told(&error))?;
        Ok(Some(Either::B(Session {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned {
                conn: connection,
                sock: socket,
            },
        })))
    }
}

/// A failed handshake in our own words, where a certificate is the matter.
fn told(error: &io::Error) -> ureq::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let text = match inner {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            other.0.to_string()
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "the store does not speak TLS there; write http:// in endpoint, or another port".into()
        }
        _ => format!("no TLS: {error}"),
    };
    ureq::Error::Io(io::Error::new(error.kind(), text))
}

/// A connection under TLS.
pub(super) struct Session {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Transport for Session {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output();
        let output = output.get(..amount).unwrap_or(output);
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_of_a_store_make_the_look_at_its_issuer_panic(der in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = is_self_signed(&CertificateDer::from(der));
        }
    }
}
