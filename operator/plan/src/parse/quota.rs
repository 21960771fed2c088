//! Quotas as numbers in their base units.

use tetrarch_core::capacity::{Quota, Resource, WhenExceeded};
use tetrarch_crds::quota::{self as written};

use crate::{money, parse::demand::not_negative, quantity, violation::Violations};

/// The quota, without what cannot be read of it.
pub fn quota(path: &str, written: Option<&written::Quota>, violations: &mut Violations) -> Quota {
    let Some(written) = written else { return Quota::default() };
    let mut quota = Quota {
        when_exceeded: match written.when_exceeded {
            written::WhenExceeded::Refuse => WhenExceeded::Refuse,
            written::WhenExceeded::Escalate => WhenExceeded::Escalate,
        },
        ..Quota::default()
    };
    let field = |resource: Resource| format!("{path}.{resource}");
    let counts = [
        (Resource::Agents, written.agents),
        (Resource::Gpus, written.gpus),
        (Resource::TokensPerMinute, written.tokens_per_minute),
        (Resource::RequestsPerHour, written.requests_per_hour),
    ];
    for (resource, number) in counts {
        let count = number.and_then(|number| not_negative(&field(resource), number, violations));
        quota.bounds.extend(count.map(|count| (resource, count)));
    }
    let cpu = written.cpu.as_ref().map(|cpu| violations.check(&field(Resource::Cpu), quantity::millis(&cpu.0)));
    let memory = written.memory.as_ref();
    let memory = memory.map(|memory| violations.check(&field(Resource::Memory), quantity::units(&memory.0)));
    let spend = written.spend_per_day.as_ref();
    let spend = spend.map(|spend| violations.check(&field(Resource::SpendPerDay), money::micros(&spend.0)));
    for (resource, bound) in [(Resource::Cpu, cpu), (Resource::Memory, memory), (Resource::SpendPerDay, spend)] {
        quota.bounds.extend(bound.flatten().map(|bound| (resource, bound)));
    }
    quota
}
