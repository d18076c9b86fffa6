//! One column of a row group in the making: values as numbers, texts only when it is written.
//!
//! A row is taken apart once, when it comes; eighteen passes over whole records would not fit a cache.

use crate::{Field, Kind, PortInfo, Record, datum::Datum};
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use packet::Mac;
use parquet::{
    column::writer::ColumnWriter, data_type::ByteArray, errors::ParquetError,
    file::writer::SerializedColumnWriter,
};
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

/// Values handed on at a time.
const BATCH: usize = 2048;

/// A column and its values.
pub(super) struct Column {
    field: Field,
    /// For each row 1 where it has a value, else 0.
    levels: Vec<i16>,
    /// Of the rows that have one.
    values: Values,
    /// Whose value the last row has, for a column of the port.
    port: Option<Arc<PortInfo>>,
}

/// Values by the type that they are written in.
enum Values {
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Flags(Vec<bool>),
    Texts(Texts),
}

/// What becomes a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Id(Uuid),
    Address(IpAddr),
    Mac(Mac),
    /// Place in the vocabulary.
    Word(u32),
}

/// Texts, and the words that stand in them.
#[derive(Default)]
struct Texts {
    all: Vec<Text>,
    vocabulary: Vec<Box<str>>,
    /// Where in the vocabulary a word stands: names of peers are as many as there are ports.
    places: HashMap<Box<str>, u32, RandomState>,
    /// The word of the last row.
    last: u32,
    /// The batch written last, and where in [`Self::all`] it began.
    arrays: Vec<ByteArray>,
    arrays_from: usize,
}

impl Column {
    pub(super) fn new(field: Field) -> Self {
        let values = match field.kind() {
            Kind::Int => Values::Ints(Vec::new()),
            Kind::Long => Values::Longs(Vec::new()),
            Kind::Flag => Values::Flags(Vec::new()),
            Kind::Id | Kind::Address | Kind::Mac | Kind::Word => Values::Texts(Texts::default()),
        };
        Self {
            field,
            levels: Vec::new(),
            values,
            port: None,
        }
    }

    /// Takes a record's value.
    #[inline]
    pub(super) fn push(&mut self, record: &Record) {
        if self.field.is_of_port() && self.repeat(record) {
            return;
        }
        let datum = self.field.datum(record);
        self.levels.push(i16::from(datum != Datum::None));
        match (&mut self.values, datum) {
            // A field of this kind has values of at most 32 bits.
            (Values::Ints(ints), Datum::Number(number)) => ints.push(number as i32),
            (Values::Longs(longs), Datum::Number(number)) => longs.push(number),
            (Values::Flags(flags), Datum::Flag(flag)) => flags.push(flag),
            (Values::Texts(texts), datum) => texts.push(datum),
            (_, datum) => debug_assert_eq!(datum, Datum::None, "{}", self.field),
        }
    }

    /// The value before once more, if the record is of the same port; a port's values are texts.
    #[inline]
    fn repeat(&mut self, record: &Record) -> bool {
        let is_same = |port| Arc::ptr_eq(port, &record.port);
        let level = self.levels.last().copied();
        let (Some(level), true) = (level, self.port.as_ref().is_some_and(is_same)) else {
            self.port = Some(Arc::clone(&record.port));
            return false;
        };
        self.levels.push(level);
        if let (1, Values::Texts(Texts { all, .. })) = (level, &mut self.values)
            && let Some(&last) = all.last()
        {
            all.push(last);
        }
        true
    }

    /// Writes all values and forgets them.
    pub(super) fn write(
        &mut self,
        to: &mut SerializedColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        let levels = std::mem::take(&mut self.levels);
        let mut from = 0;
        for levels in levels.chunks(BATCH) {
            let end = from + levels.iter().filter(|level| **level == 1).count();
            self.values.write(from..end, levels, to)?;
            from = end;
        }
        self.levels = levels;
        self.levels.clear();
        self.values.clear();
        self.port = None;
        Ok(())
    }
}

impl Values {
    fn write(
        &mut self,
        range: std::ops::Range<usize>,
        levels: &[i16],
        to: &mut SerializedColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        let levels = Some(levels);
        match (self, to.untyped()) {
            (Self::Ints(ints), ColumnWriter::Int32ColumnWriter(to)) => {
                to.write_batch(&ints[range], levels, None)
            }
            (Self::Longs(longs), ColumnWriter::Int64ColumnWriter(to)) => {
                to.write_batch(&longs[range], levels, None)
            }
            (Self::Flags(flags), ColumnWriter::BoolColumnWriter(to)) => {
                to.write_batch(&flags[range], levels, None)
            }
            (Self::Texts(texts), ColumnWriter::ByteArrayColumnWriter(to)) => {
                to.write_batch(texts.arrays(range), levels, None)
            }
            _ => unreachable!("the schema is made from the same kinds"),
        }
        .map(drop)
    }

    fn clear(&mut self) {
        match self {
            Self::Ints(ints) => ints.clear(),
            Self::Longs(longs) => longs.clear(),
            Self::Flags(flags) => flags.clear(),
            Self::Texts(texts) => {
                texts.all.clear();
                texts.vocabulary.clear();
                texts.places.clear();
                texts.arrays.clear();
                texts.arrays_from = 0;
            }
        }
    }
}

impl Texts {
    #[inline]
    fn push(&mut self, datum: Datum<'_>) {
        let text = match datum {
            Datum::Id(id) => Text::Id(id),
            Datum::Address(address) => Text::Address(address),
            Datum::Mac(mac) => Text::Mac(mac),
            Datum::Word(word) => Text::Word(self.place_of(word)),
            Datum::None | Datum::Number(_) | Datum::Flag(_) => return,
        };
        self.all.push(text);
    }

    /// The place of a word in the vocabulary: names, reasons, verdicts. Neighbours often have the same.
    #[inline]
    fn place_of(&mut self, word: &str) -> u32 {
        let last = self.vocabulary.get(self.last as usize);
        if last.is_none_or(|last| **last != *word) {
            self.last = self.places.get(word).copied().unwrap_or_else(|| {
                let place = u32::try_from(self.vocabulary.len());
                let place = place.expect("a group has fewer words than rows");
                self.vocabulary.push(word.into());
                self.places.insert(word.into(), place);
                place
            });
        }
        self.last
    }

    /// The texts of a batch. Records are sorted: where the batch before has the same text in the same
    /// place, and most have, its array stays; the others lie side by side in one piece of memory, which
    /// neighbours that are equal share.
    fn arrays(&mut self, range: std::ops::Range<usize>) -> &[ByteArray] {
        let mut arrays = std::mem::take(&mut self.arrays);
        let texts = &self.all[range.clone()];
        let old = &self.all[self.arrays_from..][..arrays.len()];
        let is_kept = |place: usize| old.get(place) == Some(&texts[place]);
        let mut bytes = Vec::new();
        let mut before = None;
        let mut changed = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            if is_kept(place) {
                continue;
            }
            if before != Some(text) {
                self.datum(*text).push(&mut bytes);
                before = Some(text);
            }
            changed.push((place, bytes.len()));
        }
        let bytes = Bytes::from(bytes);
        let (mut start, mut end) = (0, 0);
        arrays.resize_with(texts.len(), ByteArray::new);
        for (place, next) in changed {
            if next != end {
                (start, end) = (end, next);
            }
            arrays[place] = ByteArray::from(bytes.slice(start..end));
        }
        self.arrays_from = range.start;
        self.arrays = arrays;
        &self.arrays
    }

    fn datum(&self, text: Text) -> Datum<'_> {
        match text {
            Text::Id(id) => Datum::Id(id),
            Text::Address(address) => Datum::Address(address),
            Text::Mac(mac) => Datum::Mac(mac),
            Text::Word(place) => Datum::Word(
                self.vocabulary
                    .get(place as usize)
                    .map_or("", AsRef::as_ref),
            ),
        }
    }
}
