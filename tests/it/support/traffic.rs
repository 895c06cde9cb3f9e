//! Rules and events for long replays: fifty correlations over users of many systems.
//!
//! The bench takes this file, too.

use std::io::Write;
use std::path::Path;

use super::Numbers;

/// Systems; each has two rules and two correlations.
const SYSTEMS: u64 = 25;

/// Fifty correlations of every type, and the fifty rules that they count.
pub fn rules() -> String {
    let mut documents = Vec::new();
    for system in 0..SYSTEMS {
        for half in ["login", "upload"] {
            documents.push(format!(
                "title: {half} {system}\nname: {half}-{system}\nlogsource: {{category: test}}\n\
                 detection: {{s: {{system: s{system}, action: {half}}}, condition: s}}\nlevel: low\n"
            ));
        }
    }
    for system in 0..SYSTEMS {
        let (kind, condition) = match system % 5 {
            0 => ("event_count", "{gte: 6}"),
            1 => ("value_count", "{field: host, gte: 5}"),
            2 => ("value_sum", "{field: bytes, gte: 4000}"),
            3 => ("value_avg", "{field: bytes, gte: 900}"),
            _ => ("value_percentile", "{field: bytes, percentile: 90, gte: 990}"),
        };
        documents.push(format!(
            "title: Burst {system}\ncorrelation: {{type: {kind}, rules: [login-{system}], group-by: [user], \
             timespan: 30m, condition: {condition}}}\nlevel: medium\n"
        ));
        let kind = if system % 2 == 0 { "temporal" } else { "temporal_ordered" };
        documents.push(format!(
            "title: Both {system}\ncorrelation: {{type: {kind}, rules: [login-{system}, upload-{system}], \
             group-by: [user], timespan: 1h}}\nlevel: high\n"
        ));
    }
    documents.join("---\n")
}

/// Events with so many users, ten milliseconds apart; some come late, some come twice.
pub fn events(path: &Path, count: u64, users: u64) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut numbers = Numbers(20_261_124);
    for number in 0..count {
        let user = numbers.below(users);
        let late = if numbers.below(20) == 0 { numbers.below(60_000) } else { 0 };
        let millis = (1_767_225_600_000 + number * 10).saturating_sub(late);
        let id = if numbers.below(100) == 0 { number.saturating_sub(1) } else { number };
        let action = ["login", "login", "upload"][usize::try_from(numbers.below(3)).expect("it is small")];
        let (host, bytes) = (numbers.below(12), numbers.below(1000));
        writeln!(
            out,
            "{{\"@timestamp\":{millis},\"event.id\":\"e-{id}\",\"system\":\"s{}\",\"action\":\"{action}\",\
             \"user\":\"user-{user:06}\",\"host\":\"host-{host}\",\"bytes\":{bytes},\
             \"message\":\"{action} of user-{user:06} at host-{host}, {bytes} bytes\"}}",
            user % SYSTEMS
        )?;
    }
    out.flush()
}
