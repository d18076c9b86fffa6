//! The rules of one direction and family.

use super::remotes::Remotes;
use super::rows::{Row, RowId, Rows, RowsBuilder, first_common};
use super::services::Services;
use crate::{AddressGroup, Flow, FlowService, Members, ModelError, Rule, RuleRef};

#[derive(Debug, Clone)]
pub(super) struct Matcher {
    /// Rule number of the policy → number of the table.
    numbers: Box<[RuleRef]>,
    /// Source ports, where any rule names them: checked last, for rules that match otherwise.
    sources: Option<Box<[(u16, u16)]>>,
    rows: Rows,
    services: Services,
    remotes: Remotes,
}

impl Matcher {
    /// `rules` are of one direction and family; the first ones are reported first.
    pub(super) fn compile(
        rules: &[(&Rule, RuleRef)],
        address_groups: &[AddressGroup],
    ) -> Result<Self, ModelError> {
        let mut rows = RowsBuilder::new();
        let numbered = || (0..).zip(rules.iter().map(|(rule, _)| *rule));
        let services = Services::compile(numbered(), &mut rows)?;
        let remotes = Remotes::compile(numbered(), address_groups, &mut rows)?;
        let names_sources = rules.iter().any(|(rule, _)| rule.source_ports.is_some());
        let sources = || {
            rules
                .iter()
                .map(|(rule, _)| rule.source_ports.unwrap_or((0, u16::MAX)))
        };
        Ok(Self {
            numbers: rules.iter().map(|(_, number)| *number).collect(),
            sources: names_sources.then(|| sources().collect()),
            rows: rows.build(),
            services,
            remotes,
        })
    }

    #[inline]
    pub(super) fn classify(&self, flow: &Flow, members: &Members) -> Option<RuleRef> {
        if self.numbers.is_empty() {
            return None;
        }
        let services = self.services.get(flow).map(|id| self.rows.get(id));
        let mut search = Search {
            matcher: self,
            services,
            flow,
            best: None,
        };
        self.remotes.search(flow, members, &mut search);
        search.best.map(|rule| self.numbers[rule as usize])
    }

    #[inline]
    fn source_holds(&self, rule: u32, service: FlowService) -> bool {
        let Some(sources) = &self.sources else {
            return true;
        };
        match (sources[rule as usize], service) {
            ((0, u16::MAX), _) => true,
            ((min, max), FlowService::Ports { src, .. }) => (min..=max).contains(&src),
            (_, FlowService::Icmp { .. } | FlowService::None) => false,
        }
    }
}

/// The lowest rule found so far; later sets are searched below it only.
pub(super) struct Search<'a> {
    matcher: &'a Matcher,
    services: [Row<'a>; 2],
    flow: &'a Flow,
    best: Option<u32>,
}

impl Search<'_> {
    /// Looks for a lower rule in a set of those that speak of the other side.
    #[inline]
    pub(super) fn visit(&mut self, remote: RowId) {
        self.best = self.lower_in(remote).or(self.best);
    }

    /// Whether one of these rules could still be lower, whomever it speaks of.
    #[inline]
    pub(super) fn needs(&self, rules: RowId) -> bool {
        self.lower_in(rules).is_some()
    }

    #[inline]
    fn lower_in(&self, remote: RowId) -> Option<u32> {
        let remote = self.matcher.rows.get(remote);
        let holds = |rule| self.matcher.source_holds(rule, self.flow.service);
        let mut best = None;
        for service in self.services {
            let limit = best.or(self.best).unwrap_or(u32::MAX);
            best = first_common(service, remote, limit, holds).or(best);
        }
        best
    }
}
