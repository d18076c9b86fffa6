//! As much HTTP as a store needs: one request, one answer, the connection ends.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// As it was sent.
    pub path: String,
    /// As it was sent.
    pub query_text: String,
    headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// What was read of the body together with the head.
    ahead: Vec<u8>,
}

impl Request {
    pub fn read_head(connection: &mut TcpStream) -> Option<Self> {
        let mut input = BufReader::new(connection);
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            method,
            path: path.to_owned(),
            query_text: query.to_owned(),
            ..Self::default()
        };
        loop {
            let mut line = String::new();
            input.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let known = request
                .headers
                .insert(name.to_lowercase(), value.trim().to_owned());
            assert_eq!(known, None, "the header {name} was sent twice");
        }
        request.ahead = input.buffer().to_vec();
        Some(request)
    }

    pub fn read_body(mut self, connection: &mut TcpStream) -> Option<Self> {
        let length: usize = self.header("content-length").parse().unwrap_or(0);
        self.body = std::mem::take(&mut self.ahead);
        let left = length.checked_sub(self.body.len())?;
        connection
            .take(left as u64)
            .read_to_end(&mut self.body)
            .ok()?;
        (self.body.len() == length).then_some(self)
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn bucket(&self) -> String {
        let path = decode(&self.path);
        let path = path.trim_start_matches('/');
        path.split('/').next().unwrap_or_default().to_owned()
    }

    pub fn key(&self) -> String {
        let path = decode(&self.path);
        let path = path.trim_start_matches('/');
        path.split_once('/').map_or("", |(_, key)| key).to_owned()
    }

    pub fn query(&self, name: &str) -> Option<String> {
        self.queries()
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| decode(&value))
    }

    /// Names and values, as they were sent.
    pub fn queries(&self) -> Vec<(String, String)> {
        let pairs = self.query_text.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        pairs.map(pair).collect()
    }
}

pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [a, b, tail @ ..]) => {
                let digits = String::from_utf8(vec![*a, *b]).unwrap();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub fn respond(connection: &mut TcpStream, status: u16, body: &[u8], ahead_s: i64) {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead_s);
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let text = format!(
        "HTTP/1.1 {status} Status\r\nDate: {date}\r\nETag: \"e\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len(),
    );
    let _ = connection.write_all(&[text.as_bytes(), body].concat());
}
