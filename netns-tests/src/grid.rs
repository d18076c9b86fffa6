//! Many UDP flows at once, and what the log has to say about them: for each, one record of its sender and
//! one of its receiver.

use crate::{Guest, records::files_below};
use flowlog::{
    Field,
    read::{self, Row},
};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use tap::PacketMode;

/// Ports are counted from here on.
const FIRST_PORT: u16 = 10_000;
/// How long a guest waits for room in the switch's queue.
const PATIENCE: Duration = Duration::from_secs(20);

/// A flow for each pair of a source port and a destination port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Source ports.
    pub sources: u16,
    /// Destination ports.
    pub destinations: u16,
}

/// What files say about the flows of a [`Grid`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The files, in order of their names.
    pub files: Vec<PathBuf>,
    /// Rows of each.
    pub rows: Vec<usize>,
    /// Records of each flow with one accepted packet, `egress` and `ingress`.
    flows: [Vec<u8>; 2],
    /// Rows of all files.
    pub all: usize,
    /// Those about something else.
    pub others: usize,
    /// Rows whose status is not `OK`.
    pub not_ok: usize,
}

impl Grid {
    /// How many flows these are.
    #[must_use]
    pub fn flows(self) -> usize {
        usize::from(self.sources) * usize::from(self.destinations)
    }

    /// Sends one packet of each flow from one guest to another, as fast as the switch takes them.
    ///
    /// # Panics
    /// Where the switch takes none.
    pub fn send(self, from: &Guest, to: &Guest) {
        let socket = from.raw(PacketMode::Send);
        for source in 0..self.sources {
            for destination in 0..self.destinations {
                let ports = (FIRST_PORT + source, FIRST_PORT + destination);
                let frame = from
                    .packet(to)
                    .udp(ports.0, ports.1)
                    .payload(&[0; 18])
                    .build();
                let deadline = Instant::now() + PATIENCE;
                while let Err(error) = socket.send(&frame) {
                    // ENOBUFS: its queue is full.
                    assert!(Instant::now() < deadline, "nothing goes out: {error}");
                    thread::sleep(Duration::from_micros(100));
                }
            }
        }
    }

    /// The number of a flow by its ports.
    fn flow(self, source: i64, destination: i64) -> Option<usize> {
        let place = |port: i64, count: u16| {
            let place = port.checked_sub(FIRST_PORT.into())?;
            usize::try_from(place)
                .ok()
                .filter(|&place| place < count.into())
        };
        let (source, destination) = (
            place(source, self.sources)?,
            place(destination, self.destinations)?,
        );
        Some(source * usize::from(self.destinations) + destination)
    }

    /// Counts the rows of all files below `folder`, CSV by the contract alone, Parquet by the project's
    /// reader.
    ///
    /// # Panics
    /// Where a file is not what SPEC 6 says.
    #[must_use]
    pub fn count(self, folder: &Path) -> Found {
        let mut files = vec![];
        files_below(folder, &["csv", "parquet"], &mut files);
        files.sort();
        let mut found = Found {
            rows: vec![],
            flows: [vec![0; self.flows()], vec![0; self.flows()]],
            all: 0,
            others: 0,
            not_ok: 0,
            files: vec![],
        };
        for file in &files {
            let before = found.all;
            match file.extension().is_some_and(|extension| extension == "csv") {
                true => self.count_csv(file, &mut found),
                false => self.count_parquet(file, &mut found),
            }
            found.rows.push(found.all - before);
        }
        found.files = files;
        found
    }

    fn count_csv(self, file: &Path, found: &mut Found) {
        let open = File::open(file).expect("a file that was listed");
        let mut lines = BufReader::new(open).lines().map(|line| line.expect("text"));
        let header = lines.next().expect("a header line");
        let column = |name: &str| {
            let mut names = header.split(',');
            names
                .position(|known| known == name)
                .expect("a field of nhn-18")
        };
        let columns = [
            "direction",
            "filter",
            "src_port",
            "dst_port",
            "packets",
            "status",
        ]
        .map(column);
        for line in lines {
            let values: Vec<&str> = line.split(',').collect();
            let [direction, filter, source, destination, packets, status] =
                columns.map(|column| values[column]);
            let [source, destination, packets] =
                [source, destination, packets].map(|number| number.parse().unwrap_or(-1));
            found.add(
                self.flow(source, destination),
                direction,
                filter,
                packets,
                status,
            );
        }
    }

    fn count_parquet(self, file: &Path, found: &mut Found) {
        let rows = read::open(file).expect("a file that was listed");
        for row in rows {
            let row = row.expect("a row that can be read");
            let text = |field: Field| value(&row, field);
            let number = |field: Field| text(field).parse().unwrap_or(-1);
            let flow = self.flow(number(Field::SrcPort), number(Field::DstPort));
            let (direction, filter) = (text(Field::Direction), text(Field::Filter));
            found.add(
                flow,
                &direction,
                &filter,
                number(Field::Packets),
                &text(Field::Status),
            );
        }
    }
}

fn value(row: &Row, field: Field) -> String {
    row.get(field).map(ToString::to_string).unwrap_or_default()
}

impl Found {
    fn add(
        &mut self,
        flow: Option<usize>,
        direction: &str,
        filter: &str,
        packets: i64,
        status: &str,
    ) {
        self.all += 1;
        self.not_ok += usize::from(status != "OK");
        let way = ["egress", "ingress"]
            .iter()
            .position(|known| *known == direction);
        match (flow, way) {
            (Some(flow), Some(way)) if filter == "ACCEPT" && packets == 1 => {
                self.flows[way][flow] = self.flows[way][flow].saturating_add(1);
            }
            _ => self.others += 1,
        }
    }

    /// How many flows have exactly one record of their sender and one of their receiver.
    #[must_use]
    pub fn exact(&self) -> usize {
        let [egress, ingress] = &self.flows;
        let pairs = egress.iter().zip(ingress);
        pairs.filter(|&pair| pair == (&1, &1)).count()
    }

    /// Records of the flows, all of them.
    #[must_use]
    pub fn records(&self) -> usize {
        self.all - self.others
    }
}
