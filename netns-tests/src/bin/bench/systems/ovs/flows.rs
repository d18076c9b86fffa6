//! What the switch is told to do with packets.

use crate::systems::setup::Guests;
use netns_tests::Lab;
use std::fmt::Write as _;

/// Flows as OpenStack's openvswitch driver writes them: tables 71 to 73 judge what a port sends, 81
/// and 82 what it receives; registers 5 and 6 hold port and network, which is the zone.
pub(super) fn with_conntrack(lab: &Lab, guests: Guests) -> String {
    let mut text = String::from(
        "table=0,priority=0,actions=drop
table=71,priority=0,actions=drop
table=72,priority=50,ct_state=+inv+trk,actions=drop
table=72,priority=50,ct_state=+est-rel+rpl,ct_zone=1,ct_mark=0,actions=resubmit(,73)
table=72,priority=50,ct_state=-new-est+rel-inv,ct_zone=1,ct_mark=0,actions=resubmit(,73)
table=72,priority=0,actions=drop
table=73,priority=0,actions=drop
table=81,priority=0,actions=drop
table=82,priority=50,ct_state=+inv+trk,actions=drop
table=82,priority=0,actions=drop
",
    );
    for (number, name) in (1..).zip(guests.names()) {
        let guest = lab.guest(name);
        let (ip, mac) = (guest.ip(), guest.port().mac());
        let _ = write!(
            text,
            "table=0,priority=100,in_port={number},actions=load:{number}->NXM_NX_REG5[],load:1->NXM_NX_REG6[],resubmit(,71)
table=71,priority=95,arp,reg5={number},in_port={number},dl_src={mac},arp_spa={ip},actions=NORMAL
table=71,priority=65,ip,reg5={number},in_port={number},dl_src={mac},nw_src={ip},actions=ct(table=72,zone=NXM_NX_REG6[0..15])
table=71,priority=10,reg5={number},ct_state=-trk,actions=drop
table=72,priority=74,ct_state=+est-rel-rpl,ip,reg5={number},actions=resubmit(,73)
table=72,priority=74,ct_state=+new-est,ip,reg5={number},actions=resubmit(,73)
table=72,priority=40,ct_state=+est,ip,reg5={number},actions=ct(commit,zone=NXM_NX_REG6[0..15],exec(load:1->NXM_NX_CT_MARK[]))
table=73,priority=100,reg6=1,dl_dst={mac},actions=load:{number}->NXM_NX_REG5[],resubmit(,81)
table=81,priority=90,ct_state=-trk,ip,reg5={number},actions=ct(table=82,zone=NXM_NX_REG6[0..15])
table=81,priority=80,ct_state=+trk,reg5={number},actions=resubmit(,82)
table=82,priority=75,ct_state=+est-rel-rpl,ip,reg5={number},actions=output:{number}
table=82,priority=75,ct_state=+new-est,ip,reg5={number},actions=ct(commit,zone=NXM_NX_REG6[0..15]),output:{number}
table=82,priority=50,ct_state=+est-rel+rpl,ct_zone=1,ct_mark=0,reg5={number},actions=output:{number}
table=82,priority=50,ct_state=-new-est+rel-inv,ct_zone=1,ct_mark=0,reg5={number},actions=output:{number}
table=82,priority=40,ct_state=+est,ip,reg5={number},actions=ct(commit,zone=NXM_NX_REG6[0..15],exec(load:1->NXM_NX_CT_MARK[]))
"
        );
    }
    text
}
