//! The kinds of records that an interval has beside their tuples: the details that its logger names,
//! each combination once. A key holds the number.

use crate::Details;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Combinations of details by number; 0 is that of a logger that names none.
#[derive(Debug)]
pub(super) struct Kinds {
    all: Vec<Details>,
    /// Seeded at random: guests choose the MAC addresses.
    numbers: HashMap<Details, u32, RandomState>,
}

impl Default for Kinds {
    fn default() -> Self {
        Self {
            all: vec![Details::default()],
            numbers: HashMap::default(),
        }
    }
}

impl Kinds {
    /// The number of a combination that is known.
    #[inline]
    pub(super) fn find(&self, details: &Details) -> Option<u32> {
        if *details == Details::default() {
            Some(0)
        } else {
            self.numbers.get(details).copied()
        }
    }

    /// Adds a combination that is not known.
    pub(super) fn add(&mut self, details: Details) -> u32 {
        let number = u32::try_from(self.all.len()).expect("there are fewer kinds than records");
        self.all.push(details);
        self.numbers.insert(details, number);
        number
    }

    /// The combination of a number.
    pub(super) fn get(&self, number: u32) -> Details {
        self.all.get(number as usize).copied().unwrap_or_default()
    }
}
