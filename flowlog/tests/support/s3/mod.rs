//! An S3 store that does as it is told: it checks who asks and what was sent as a real one does, keeps
//! objects in memory, and fails on command.

mod http;
mod signature;

use http::{Request, respond};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

pub const ACCESS: &str = "test:tester";
pub const SECRET: &str = "testing";
pub const REGION: &str = "KR1";
pub const BUCKET: &str = "flowlogs";

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status, with this code, and nothing is stored.
    Status(u16, &'static str),
    /// The answer comes late.
    Slow(Duration),
    /// The connection ends in the middle of the body.
    Cut,
    /// This status, with this code, as soon as the head is there; the body is not read.
    Early(u16, &'static str),
    /// The object is stored, and the connection ends before the answer.
    LostAnswer,
}

/// Everything that the store knows and was told.
#[derive(Default)]
pub struct State {
    /// Objects by key.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Keys in the order in which they were stored, each time.
    pub stored: Vec<String>,
    /// Keys that were removed.
    pub removed: Vec<String>,
    /// Requests, with the status of each answer; 0 for none.
    pub asked: Vec<(String, u16)>,
    /// What goes wrong next, one request each.
    pub faults: VecDeque<Fault>,
    /// What goes wrong with every request.
    pub always: Option<Fault>,
    /// What goes wrong with requests for keys that end so.
    pub for_key: Option<(String, Fault)>,
    /// Seconds by which its clock is ahead.
    pub clock_ahead_s: i64,
    /// The key may write and not remove.
    pub write_only: bool,
    /// Nobody may write.
    pub forbidden: bool,
    /// The key may not list or read.
    pub unreadable: bool,
    /// It does not know the second version of listing.
    pub lists_by_markers: bool,
    /// Objects on a page of a listing; a thousand where it is 0.
    pub page: usize,
    /// Headers that its policy demands of what begins an object; of any other request it refuses those of
    /// encryption.
    pub demanded: Vec<(&'static str, &'static str)>,
    /// Bytes it holds at most.
    pub room: Option<usize>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    is_closed: bool,
}

/// A running store.
#[derive(Clone)]
pub struct Server {
    pub endpoint: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Starts on a free port of the loopback. Its thread ends with the process.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            endpoint: format!("http://{address}"),
            address,
            state: Arc::default(),
        };
        server.listen(listener);
        server
    }

    fn listen(&self, listener: TcpListener) {
        let serving = self.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if serving.state().is_closed {
                    return;
                }
                let server = serving.clone();
                thread::spawn(move || server.serve(connection));
            }
        });
    }

    /// Is down: connections are refused until [`Self::open`].
    pub fn close(&self) {
        self.state().is_closed = true;
        // A connection wakes the thread that listens, which then ends.
        while TcpStream::connect(self.address).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Is there again, under the same address and with what it held.
    pub fn open(&self) {
        self.state().is_closed = false;
        self.listen(TcpListener::bind(self.address).unwrap());
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut connection: TcpStream) {
        let Some(request) = Request::read_head(&mut connection) else {
            return;
        };
        let fault = self.state().fault(&request);
        if fault == Some(Fault::Cut) {
            return self.note(&request, 0);
        }
        if let Some(Fault::Early(status, code)) = fault {
            self.note(&request, status);
            respond(&mut connection, status, error(code).as_bytes(), 0);
            // What the other end still sends meets a closed connection.
            let _ = connection.shutdown(Shutdown::Both);
            return;
        }
        let Some(request) = request.read_body(&mut connection) else {
            return;
        };
        let (status, body) = match fault {
            Some(Fault::Status(status, code)) => (status, error(code).into_bytes()),
            _ => self.state().answer(&request),
        };
        if fault == Some(Fault::LostAnswer) {
            return self.note(&request, 0);
        }
        if let Some(Fault::Slow(pause)) = fault {
            thread::sleep(pause);
        }
        self.note(&request, status);
        let ahead_s = self.state().clock_ahead_s;
        respond(&mut connection, status, &body, ahead_s);
    }

    fn note(&self, request: &Request, status: u16) {
        let line = format!("{} {}", request.method, request.key());
        self.state().asked.push((line, status));
    }
}

impl State {
    fn fault(&mut self, request: &Request) -> Option<Fault> {
        if let Some((end, fault)) = &self.for_key
            && request.key().ends_with(end.as_str())
        {
            return Some(*fault);
        }
        self.always.or_else(|| self.faults.pop_front())
    }

    fn answer(&mut self, request: &Request) -> (u16, Vec<u8>) {
        let (status, text) = self.answer_text(request);
        match self.objects.get(&request.key()) {
            Some(object) if status == 200 && request.method == "GET" => (200, object.clone()),
            _ => (status, text.into_bytes()),
        }
    }

    fn answer_text(&mut self, request: &Request) -> (u16, String) {
        if let Err((status, code)) = signature::check(request, self.clock_ahead_s) {
            return (status, error(code));
        }
        let not_served = [
            "if-none-match",
            "x-amz-tagging",
            "x-amz-sdk-checksum-algorithm",
        ];
        let is_chunked = request
            .header("x-amz-content-sha256")
            .starts_with("STREAMING");
        if is_chunked || not_served.iter().any(|name| request.has(name)) {
            return (501, error("NotImplemented"));
        }
        if request.bucket() != BUCKET {
            return (404, error("NoSuchBucket"));
        }
        let uploads = request.query("uploads").is_some();
        let is_part = request.query("uploadId").is_some();
        let begins = uploads || (request.method == "PUT" && !is_part);
        if !begins && request.has("x-amz-server-side-encryption") {
            return (400, error("InvalidArgument"));
        }
        let lacks = |(name, value): &(&str, &str)| request.header(name) != *value;
        if begins && self.demanded.iter().any(lacks) {
            return (403, error("AccessDenied"));
        }
        if self.forbidden {
            return (403, error("AccessDenied"));
        }
        self.act(request)
    }

    fn act(&mut self, request: &Request) -> (u16, String) {
        let key = request.key();
        let upload = request.query("uploadId");
        match (request.method.as_str(), upload) {
            ("PUT", Some(upload)) => {
                let part = request.query("partNumber").unwrap().parse().unwrap();
                match self.uploads.get_mut(&upload) {
                    Some(parts) => parts.insert(part, request.body.clone()),
                    None => return (404, error("NoSuchUpload")),
                };
                (200, String::new())
            }
            ("POST", Some(upload)) => {
                let parts = self.uploads.remove(&upload).unwrap_or_default();
                let body: Vec<u8> = parts.into_values().flatten().collect();
                self.store(key, body);
                (200, "<CompleteMultipartUploadResult/>".into())
            }
            ("POST", None) if request.query("uploads").is_some() => {
                let upload = format!("upload{}", self.uploads.len());
                self.uploads.insert(upload.clone(), BTreeMap::new());
                (200, format!("<R><UploadId>{upload}</UploadId></R>"))
            }
            ("DELETE", Some(upload)) => {
                self.uploads.remove(&upload);
                (204, String::new())
            }
            ("PUT", None) => {
                let held: usize = self.objects.values().map(Vec::len).sum();
                if self
                    .room
                    .is_some_and(|room| held + request.body.len() > room)
                {
                    return (507, error("InsufficientStorage"));
                }
                self.store(key, request.body.clone());
                (200, String::new())
            }
            ("DELETE", None) if self.write_only => (403, error("AccessDenied")),
            ("DELETE", None) => {
                self.objects.remove(&key);
                self.removed.push(key);
                (204, String::new())
            }
            ("GET", _) if self.unreadable => (403, error("AccessDenied")),
            ("GET", _) if key.is_empty() => self.list(request),
            ("GET", _) if self.objects.contains_key(&key) => (200, String::new()),
            ("GET", _) => (404, error("NoSuchKey")),
            _ => (405, error("MethodNotAllowed")),
        }
    }

    /// A page; its tokens look as no key does, and need to be escaped.
    fn list(&self, request: &Request) -> (u16, String) {
        let is_second = request.query("list-type").is_some();
        if is_second && self.lists_by_markers {
            return (501, error("NotImplemented"));
        }
        let prefix = request.query("prefix").unwrap_or_default();
        let token = request.query("continuation-token");
        let token = token.map(|token| token.strip_prefix("+token=&").unwrap().to_owned());
        let behind = token.or_else(|| request.query("marker"));
        let keys = self.objects.iter().filter(|(key, _)| {
            key.starts_with(&prefix) && behind.as_ref().is_none_or(|behind| *key > behind)
        });
        let page = if self.page == 0 { 1000 } else { self.page };
        let keys: Vec<_> = keys.take(page + 1).collect();
        let contents: String = keys[..keys.len().min(page)]
            .iter()
            .map(|(key, body)| {
                let key = key.replace('&', "&amp;");
                format!(
                    "<Contents><Key>{key}</Key><Size>{}</Size></Contents>",
                    body.len()
                )
            })
            .collect();
        let is_cut = keys.len() > page;
        let token = match is_cut && is_second {
            true => format!(
                "<NextContinuationToken>+token=&amp;{}</NextContinuationToken>",
                keys[page - 1].0
            ),
            false => String::new(),
        };
        let text = format!(
            "<ListBucketResult xmlns=\"x\"><IsTruncated>{is_cut}</IsTruncated>{token}{contents}</ListBucketResult>"
        );
        (200, text)
    }

    fn store(&mut self, key: String, body: Vec<u8>) {
        self.stored.push(key.clone());
        self.objects.insert(key, body);
    }

    /// Uploads that were begun and neither completed nor given up.
    pub fn uploads_left(&self) -> usize {
        self.uploads.len()
    }
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as told</Message></Error>")
}
