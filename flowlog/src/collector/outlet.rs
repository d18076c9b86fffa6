//! Where a logger's closed intervals go: through the spool to a store, or out as messages.

use crate::{
    Access, Bucket, Field, Format, LoggerSpec, Storage, Zone,
    delivery::{Address, Carrier, Counts, Delivery, Progress},
    ipfix::Exporter,
    spool::{Destination, QueueId},
    store::{Directory, S3, Store},
};
use std::{sync::Arc, time::Instant};
use uuid::Uuid;

/// The way out of one logger.
pub(super) enum Outlet {
    /// A courier that empties the spool.
    Files(Carrier),
    /// Datagrams, without a spool.
    Messages(Exporter),
    /// Nothing is collected and nothing waits.
    Closed,
}

/// A courier of a logger that is gone or goes elsewhere now.
pub(super) struct Left {
    pub(super) carrier: Carrier,
    /// Columns and format of what it carries; unknown of what an earlier process left.
    shape: Option<(Vec<Field>, Format)>,
}

impl Left {
    /// A courier for what an earlier process left in a queue for another store than the logger's
    /// present one. `None` where the way there is not known: a bucket, and no logger uses one now.
    pub(super) fn of_earlier(
        queue: QueueId,
        spec: &LoggerSpec,
        access: Option<&Bucket>,
        counts: &Arc<Counts>,
        delivery: &Delivery,
    ) -> Option<Self> {
        let storage = delivery.kept.spool.destination(queue)?.storage(access)?;
        let zone = spec.layout.zone_of_names();
        let address = address(&storage, queue.logger, zone, delivery.kept.access)?;
        let kept = Arc::clone(&delivery.kept);
        let carrier = Carrier::new(
            kept,
            queue,
            address,
            Arc::clone(counts),
            delivery.on_threads,
        );
        Some(Self {
            carrier,
            shape: None,
        })
    }

    /// Whether what it carries is to go where its logger goes now: its own store has no place for it,
    /// and its columns are those of its logger's new place.
    pub(super) fn is_to_follow(&self, spec: &LoggerSpec) -> bool {
        let fits = |(fields, format): &(Vec<Field>, Format)| {
            *fields == spec.fields && *format == spec.format
        };
        self.carrier.is_turned_away() && self.shape.as_ref().is_none_or(fits)
    }
}

impl Outlet {
    /// The outlet that a definition asks for. `left`: couriers that still empty queues of loggers which
    /// are gone or have moved; one for this very place goes on.
    pub(super) fn new(
        spec: &LoggerSpec,
        counts: &Arc<Counts>,
        delivery: &Delivery,
        left: &mut Vec<Left>,
    ) -> Self {
        let zone = spec.layout.zone_of_names();
        let Some(address) = address(&spec.storage, spec.id, zone, delivery.kept.access) else {
            return match spec.admin_state_up {
                true => {
                    Self::Messages(Exporter::new(spec, Arc::clone(counts), delivery.on_threads))
                }
                false => Self::Closed,
            };
        };
        let queue = Destination::of(&spec.storage).queue(spec.id);
        let known = left.iter().position(|left| left.carrier.queue() == queue);
        match known.map(|place| left.remove(place).carrier) {
            Some(mut carrier) => {
                carrier.readdress(address);
                Self::Files(carrier)
            }
            None if spec.admin_state_up || !delivery.kept.spool.is_empty(queue) => {
                let (kept, counts) = (Arc::clone(&delivery.kept), Arc::clone(counts));
                Self::Files(Carrier::new(
                    kept,
                    queue,
                    address,
                    counts,
                    delivery.on_threads,
                ))
            }
            None => Self::Closed,
        }
    }

    /// Goes on under another definition.
    pub(super) fn adopt(
        &mut self,
        old: &LoggerSpec,
        spec: &LoggerSpec,
        counts: &Arc<Counts>,
        delivery: &Delivery,
        left: &mut Vec<Left>,
    ) {
        if matches!(self, Self::Messages(_)) && old.storage == spec.storage && spec.admin_state_up {
            return;
        }
        self.leave(old, left);
        *self = Self::new(spec, counts, delivery, left);
    }

    /// Leaves a courier behind that has something to deliver yet.
    pub(super) fn leave(&mut self, spec: &LoggerSpec, left: &mut Vec<Left>) {
        if let Self::Files(carrier) = std::mem::replace(self, Self::Closed) {
            let shape = Some((spec.fields.clone(), spec.format.clone()));
            left.push(Left { carrier, shape });
        }
    }

    /// The queue that its objects go to.
    pub(super) const fn queue(&self) -> Option<QueueId> {
        match self {
            Self::Files(carrier) => Some(carrier.queue()),
            Self::Messages(_) | Self::Closed => None,
        }
    }

    /// Takes over what waits in another queue of the same logger. `false`: it delivers nothing itself.
    pub(super) fn inherit(&mut self, from: QueueId, delivery: &Delivery) -> bool {
        let Self::Files(carrier) = self else {
            return false;
        };
        // What could not be passed on stays where it is, and is tried again.
        let _ = delivery.kept.spool.pass_on(from, carrier.queue());
        carrier.wake();
        true
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

/// How a storage is reached, if records become objects there.
fn address(storage: &Storage, owner: Uuid, zone: Zone, access: Access) -> Option<Address> {
    let store: Box<dyn Store> = match storage {
        Storage::Directory(root) => Box::new(Directory::new(root.clone(), owner, access)),
        Storage::Bucket(bucket) => Box::new(S3::new(bucket.clone(), owner)),
        Storage::Ipfix(_) => return None,
    };
    Some(Address { store, zone })
}
