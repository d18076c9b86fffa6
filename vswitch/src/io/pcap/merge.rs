//! Several captures as one, by time.

use super::{Captured, PcapError};

/// Merges captures by time. Each frame comes with the number of its capture. Frames of one capture
/// keep their order even where its clock stepped back; at the same time the first capture leads.
pub fn merge<I>(captures: impl IntoIterator<Item = I>) -> Merged<I>
where
    I: Iterator<Item = Result<Captured, PcapError>>,
{
    let captures = captures
        .into_iter()
        .map(|mut capture| (capture.next(), capture));
    Merged {
        heads: captures.collect(),
    }
}

/// See [`merge`]. An error comes as soon as it is reached; the other captures go on.
#[derive(Debug)]
pub struct Merged<I: Iterator> {
    heads: Vec<(Option<I::Item>, I)>,
}

impl<I: Iterator> Merged<I> {
    /// What is merged, in the order given.
    pub fn captures(&self) -> impl Iterator<Item = &I> {
        self.heads.iter().map(|(_, capture)| capture)
    }
}

impl<I: Iterator<Item = Result<Captured, PcapError>>> Iterator for Merged<I> {
    type Item = Result<(usize, Captured), PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Captures are few: the least of their heads is found faster than a heap is kept.
        let time = |head: &Option<I::Item>| match head {
            Some(Ok(captured)) => Some(captured.time_ns),
            Some(Err(_)) => Some(0),
            None => None,
        };
        let candidates = self.heads.iter().enumerate();
        let (_, first) = candidates
            .filter_map(|(n, (head, _))| Some((time(head)?, n)))
            .min()?;
        let (head, capture) = &mut self.heads[first];
        let item = std::mem::replace(head, capture.next());
        item.map(|item| item.map(|captured| (first, captured)))
    }
}
