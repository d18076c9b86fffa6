//! Idle timeouts and their limits.

/// Why a timeout was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutError {
    /// No timeout has this name.
    #[error("`{0}` is not a timeout; write one of {names}", names = Timeouts::NAMES.join(", "))]
    Unknown(String),
    /// The value lies outside its range.
    #[error("{name}: {seconds} s is out of range; write {min} to {max} seconds")]
    Range {
        /// Which timeout.
        name: &'static str,
        /// What was asked for.
        seconds: u32,
        /// Least value.
        min: u32,
        /// Greatest value.
        max: u32,
    },
}

/// Defines the timeouts from one table, so that name, default and range stand in one line.
macro_rules! timeouts {
    ($($name:ident = $default:literal, $min:literal ..= $max:literal;)+) => {
        /// Idle timeouts, seconds. Names are the kernel's (`nf_conntrack-sysctl.rst`), and so are the
        /// defaults, but that an association's shutdown has whole seconds, and that a connection which the
        /// rules allow no more (`revoked`) lives as long as one that was reset; the ranges of `tcp_established`,
        /// `udp` and `udp_stream` are those of AWS.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are the kernel's sysctl names")]
        pub struct Timeouts { $(pub $name: u32,)+ }

        /// Idle timeouts that one port has of its own, seconds; what is absent is everybody's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[expect(missing_docs, reason = "the names are the kernel's sysctl names")]
        pub struct OwnTimeouts { $(pub $name: Option<u32>,)+ }

        impl OwnTimeouts {
            /// Sets the timeout of this name.
            ///
            /// # Errors
            /// As [`Timeouts::set`].
            pub fn set(&mut self, name: &str, seconds: u32) -> Result<(), TimeoutError> {
                Timeouts::check(name, seconds)?;
                match name {
                    $(stringify!($name) => self.$name = Some(seconds),)+
                    _ => return Err(TimeoutError::Unknown(name.to_owned())),
                }
                Ok(())
            }

            /// The timeout of this name, if the port has one of its own.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u32> {
                match name {
                    $(stringify!($name) => self.$name,)+
                    _ => None,
                }
            }
        }

        impl Timeouts {
            /// As seen by a connection between two ports: a port's own value stands in place of
            /// everybody's; where both have one, the shorter, for neither keeps an entry longer than
            /// it wants to.
            #[must_use]
            pub fn between(&self, ports: [Option<&OwnTimeouts>; 2]) -> Self {
                let mut timeouts = *self;
                $(
                    let own = ports.iter().filter_map(|port| port.and_then(|own| own.$name));
                    timeouts.$name = own.min().unwrap_or(self.$name);
                )+
                timeouts
            }

            /// Every name, in the order of the fields.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];
            /// The least values.
            pub const MIN: Self = Self { $($name: $min,)+ };
            /// The greatest values; all far below the 24 days that a deadline can lie ahead.
            pub const MAX: Self = Self { $($name: $max,)+ };

            /// Checks a value without setting it.
            ///
            /// # Errors
            /// [`TimeoutError`] for an unknown name or a value out of range.
            pub fn check(name: &str, seconds: u32) -> Result<(), TimeoutError> {
                Self::default().set(name, seconds)
            }

            /// Sets the timeout of this name.
            ///
            /// # Errors
            /// [`TimeoutError`] for an unknown name or a value out of range; nothing is changed then.
            pub fn set(&mut self, name: &str, seconds: u32) -> Result<(), TimeoutError> {
                match name {
                    $(stringify!($name) => {
                        within(stringify!($name), seconds, $min, $max)?;
                        self.$name = seconds;
                    })+
                    _ => return Err(TimeoutError::Unknown(name.to_owned())),
                }
                Ok(())
            }

            /// The timeout of this name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u32> {
                match name {
                    $(stringify!($name) => Some(self.$name),)+
                    _ => None,
                }
            }
        }

        impl Default for Timeouts {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }
    };
}

timeouts! {
    tcp_syn_sent       =     120,  1 ..= 600;
    tcp_syn_recv       =      60,  1 ..= 600;
    tcp_established    = 432_000, 60 ..= 432_000;
    tcp_fin_wait       =     120,  1 ..= 3_600;
    tcp_close_wait     =      60,  1 ..= 3_600;
    tcp_last_ack       =      30,  1 ..= 600;
    tcp_time_wait      =     120,  1 ..= 600;
    tcp_close          =      10,  1 ..= 600;
    tcp_max_retrans    =     300,  1 ..= 3_600;
    tcp_unacknowledged =     300,  1 ..= 3_600;
    udp                =      30, 30 ..= 60;
    udp_stream         =     120, 60 ..= 180;
    icmp               =      30,  1 ..= 600;
    icmpv6             =      30,  1 ..= 600;
    generic            =     600,  1 ..= 86_400;
    gre                =      30,  1 ..= 600;
    gre_stream         =     180,  1 ..= 86_400;
    sctp_closed            =      10,  1 ..= 600;
    sctp_cookie_wait       =       3,  1 ..= 600;
    sctp_cookie_echoed     =       3,  1 ..= 600;
    sctp_established       = 432_000, 60 ..= 432_000;
    sctp_shutdown_sent     =       3,  1 ..= 600;
    sctp_shutdown_recd     =       3,  1 ..= 600;
    sctp_shutdown_ack_sent =       3,  1 ..= 600;
    sctp_heartbeat_sent    =      30,  1 ..= 600;
    dccp_request           =     240,  1 ..= 600;
    dccp_respond           =     480,  1 ..= 600;
    dccp_partopen          =     480,  1 ..= 600;
    dccp_open              =  43_200, 60 ..= 432_000;
    dccp_closereq          =      64,  1 ..= 600;
    dccp_closing           =      64,  1 ..= 600;
    dccp_timewait          =     240,  1 ..= 600;
    frag                   =      15,  1 ..= 60;
    revoked                =      10,  1 ..= 600;
}

fn within(name: &'static str, seconds: u32, min: u32, max: u32) -> Result<(), TimeoutError> {
    if (min..=max).contains(&seconds) {
        return Ok(());
    }
    Err(TimeoutError::Range {
        name,
        seconds,
        min,
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_in_its_range_and_every_name_can_be_set() {
        let mut timeouts = Timeouts::default();
        for name in Timeouts::NAMES {
            let default = timeouts.get(name).unwrap();
            assert_eq!(Timeouts::check(name, default), Ok(()), "{name}");
            let max = Timeouts::MAX.get(name).unwrap();
            timeouts.set(name, max).unwrap();
            assert!(Timeouts::check(name, max + 1).is_err(), "{name}");
            assert!(
                Timeouts::check(name, Timeouts::MIN.get(name).unwrap() - 1).is_err(),
                "{name}"
            );
        }
        assert_eq!(timeouts, Timeouts::MAX);
    }

    #[test]
    fn a_refusal_names_the_value_and_the_remedy() {
        let refused = Timeouts::check("udp_stream", 200).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "udp_stream: 200 s is out of range; write 60 to 180 seconds"
        );
        let unknown = Timeouts::check("tcp_syn", 1).unwrap_err().to_string();
        assert!(unknown.starts_with("`tcp_syn` is not a timeout; write one of tcp_syn_sent, "));
    }
}
