//! Where a logger's closed intervals go: through the spool to a store, or out as messages.

use crate::{
    LoggerSpec, Storage,
    delivery::{Address, Carrier, Delivery, Progress},
    ipfix::Exporter,
    store::{Directory, S3, Store},
};
use std::time::Instant;

/// The way out of one logger.
pub(super) enum Outlet {
    /// A courier that empties the spool.
    Files(Carrier),
    /// Datagrams, without a spool.
    Messages(Exporter),
    /// Nothing is collected and nothing waits.
    Closed,
}

impl Outlet {
    /// The outlet that a definition asks for. `left`: couriers that still empty the spool of loggers
    /// which are gone; one of this logger goes on with its new address.
    pub(super) fn new(spec: &LoggerSpec, delivery: &Delivery, left: &mut Vec<Carrier>) -> Self {
        let known = left.iter().position(|carrier| carrier.logger() == spec.id);
        let waits = delivery.kept.spool.backlog(spec.id).files > 0;
        match address(spec) {
            Some(address) => match known.map(|place| left.remove(place)) {
                Some(mut carrier) => {
                    carrier.readdress(address);
                    Self::Files(carrier)
                }
                None if spec.admin_state_up || waits => {
                    let kept = delivery.kept.clone();
                    Self::Files(Carrier::new(kept, spec.id, address, delivery.on_threads))
                }
                None => Self::Closed,
            },
            None if spec.admin_state_up => Self::Messages(Exporter::new(spec, delivery.on_threads)),
            None => Self::Closed,
        }
    }

    /// Goes on under another definition.
    pub(super) fn adopt(
        &mut self,
        old: &LoggerSpec,
        spec: &LoggerSpec,
        delivery: &Delivery,
        left: &mut Vec<Carrier>,
    ) {
        if matches!(self, Self::Messages(_)) && old.storage == spec.storage && spec.admin_state_up {
            return;
        }
        self.leave(left);
        *self = Self::new(spec, delivery, left);
    }

    /// Leaves a courier behind that has something to deliver yet.
    pub(super) fn leave(&mut self, left: &mut Vec<Carrier>) {
        if let Self::Files(carrier) = std::mem::replace(self, Self::Closed) {
            left.push(carrier);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        match self {
            Self::Files(carrier) => carrier.progress(),
            Self::Messages(exporter) => exporter.progress(),
            Self::Closed => Progress::default(),
        }
    }

    /// See [`Carrier::end_by`].
    pub(super) fn end_by(&mut self, deadline: Instant) {
        match self {
            Self::Files(carrier) => carrier.end_by(deadline),
            Self::Messages(exporter) => exporter.end_by(deadline),
            Self::Closed => {}
        }
    }

    /// See [`Carrier::join`].
    pub(super) fn join(&mut self, deadline: Instant) {
        match self {
            Self::Files(carrier) => carrier.join(deadline),
            Self::Messages(exporter) => exporter.join(deadline),
            Self::Closed => {}
        }
    }
}

/// The store of a definition, if its records become objects.
fn address(spec: &LoggerSpec) -> Option<Address> {
    let store: Box<dyn Store> = match &spec.storage {
        Storage::Directory(root) => Box::new(Directory::new(root.clone(), spec.id)),
        Storage::Bucket(bucket) => Box::new(S3::new(bucket.clone(), spec.id)),
        Storage::Ipfix(_) => return None,
    };
    Some(Address {
        store,
        layout: spec.layout.clone(),
    })
}
