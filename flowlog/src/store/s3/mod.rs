//! Objects in a bucket of an S3-compatible store, by the plainest requests there are: signed PUTs with
//! their length and digest. No conditional write, no chunked encoding, no checksums behind the body,
//! no tags, no encryption headers unless configured: OpenStack Swift and others answer those with an
//! error. A retry
//! needs no condition: the same bytes go to the same key.
//!
//! The switch never lists or reads, so that a key which may only write is enough; who reads the log
//! back ([`Objects`]) does it with a key that may.

mod answer;
mod client;
mod early;
mod listing;
mod objects;
mod proxy;
mod resign;
mod tls;

pub use objects::{Listing, Object, ObjectError, Objects};

use super::{Bucket, Cause, Store, StoreError};
use crate::spool::Body;
use answer::Answer;
use client::Client;
use s3::{
    command::{Command, Multipart},
    serde_types::{CompleteMultipartUploadData, Part},
};
use std::io::Read as _;
use uuid::Uuid;

/// Greatest object that goes as one request, and size of the parts of a greater one. At least 5 MiB
/// as S3 demands of parts, and little enough to be held in memory.
const PART_BYTES: u64 = 8 << 20;

/// Parts of an object: what Swift takes; 8 GiB.
const PARTS_MAX: u32 = 1000;

const OCTETS: &str = "application/octet-stream";

/// What the names of probes begin with, before the logger's id.
const PROBE_NAME: &str = "_vswitch_probe_";

/// What the probe writes: never nothing, because an empty object of a log's folder breaks readers.
const PROBE: &[u8] = b"vswitch: may this key write here? This object can be removed.\n";

/// What a key is used for: a refusal is mended by other means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    Read,
}

/// A bucket as a store.
pub(crate) struct S3 {
    bucket: Bucket,
    owner: Uuid,
}

impl S3 {
    /// The store of the logger `owner`. Nothing is asked yet.
    pub(crate) fn new(bucket: Bucket, owner: Uuid) -> Self {
        Self { bucket, owner }
    }

    /// The secrets are read anew for each object: keys that are renewed in a file are used at once.
    fn client(&self) -> Result<Client, StoreError> {
        Client::new(&self.bucket, Access::Write)
    }

    /// A part's bytes, at most [`PART_BYTES`].
    fn next_part(&self, body: &mut Body) -> Result<Vec<u8>, StoreError> {
        let mut part = Vec::new();
        match body.take(PART_BYTES).read_to_end(&mut part) {
            Ok(_) => Ok(part),
            Err(error) => {
                let text = format!("cannot read the spool: {error}");
                Err(StoreError::new(Cause::Busy, text))
            }
        }
    }

    /// Sends a great object in parts; the store shows it only once it is complete.
    fn put_in_parts(&self, key: &str, body: &mut Body) -> Result<(), StoreError> {
        let client = self.client()?;
        let begin = Command::InitiateMultipartUpload {
            content_type: OCTETS,
        };
        let begun = client.send(key, begin)?;
        let Some(upload) = begun.element("UploadId").map(str::to_owned) else {
            return Err(client.unexpected(&begun, "names no upload"));
        };
        let sent = self.send_parts(&client, key, &upload, body);
        if sent.is_err() {
            // Best effort: what stays of an upload is never seen as an object.
            let abort = Command::AbortMultipartUpload { upload_id: &upload };
            let _ = client.send(key, abort);
        }
        sent
    }

    fn send_parts(
        &self,
        client: &Client,
        key: &str,
        upload: &str,
        body: &mut Body,
    ) -> Result<(), StoreError> {
        let mut parts = Vec::new();
        for part_number in 1..=PARTS_MAX {
            let content = self.next_part(body)?;
            if content.is_empty() {
                break;
            }
            let put = Command::PutObject {
                content: &content,
                content_type: OCTETS,
                custom_headers: None,
                multipart: Some(Multipart::new(part_number, upload)),
            };
            let answer = client.send(key, put)?;
            let Some(etag) = answer.etag.clone() else {
                return Err(client.unexpected(&answer, "has no ETag"));
            };
            parts.push(Part { part_number, etag });
        }
        let complete = Command::CompleteMultipartUpload {
            upload_id: upload,
            data: CompleteMultipartUploadData { parts },
        };
        let answer = client.send(key, complete)?;
        // The status is sent before the work is done: the body says how it went.
        match answer.element("Code") {
            Some(_) => Err(client.failure(&answer)),
            None => Ok(()),
        }
    }
}

impl Store for S3 {
    /// Writes a small object beside the log and removes it. Its name begins with `_`, which readers of
    /// folders of data leave out, and is always the same: where the key may write and not remove, one
    /// such object stays.
    fn probe(&mut self) -> Result<(), StoreError> {
        let key = self.bucket.key(&format!("{PROBE_NAME}{}", self.owner));
        let client = self.client()?;
        client.send(&key, put_whole(PROBE))?;
        let _ = client.send(&key, Command::DeleteObject);
        Ok(())
    }

    fn put(&mut self, name: &str, body: &mut Body) -> Result<(), StoreError> {
        let key = self.bucket.key(name);
        if body.len() > PART_BYTES {
            return self.put_in_parts(&key, body);
        }
        let content = self.next_part(body)?;
        self.client()?.send(&key, put_whole(&content)).map(drop)
    }
}

fn put_whole(content: &[u8]) -> Command<'_> {
    Command::PutObject {
        content,
        content_type: OCTETS,
        custom_headers: None,
        multipart: None,
    }
}
