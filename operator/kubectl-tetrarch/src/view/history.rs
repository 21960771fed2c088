//! The runs that a Supervisor keeps, as it prints them, and as a table.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tetrarch_protocol::inspect::Kept;

use crate::view::{
    style::Style,
    table::{self, Cell},
    time,
};

/// Whether a run is in one of the phases, of which none means all, and not older.
pub fn fits(run: &Kept, phases: &[String], oldest: Option<Timestamp>) -> bool {
    let is_in_phase = phases.is_empty() || phases.iter().any(|phase| phase.eq_ignore_ascii_case(&run.phase));
    is_in_phase && oldest.is_none_or(|oldest| run.accepted_at >= oldest)
}

/// Reads one JSON object on each line.
pub fn read(lines: &[u8]) -> Result<Vec<Kept>, serde_json::Error> {
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice).collect()
}

/// A table of the runs.
pub fn render(runs: &[Kept], now: Timestamp, style: Style) -> String {
    if runs.is_empty() {
        return "no run is kept that fits\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = runs
        .iter()
        .map(|run| {
            let (started, finished) = (run.started_at.map(Time), run.finished_at.map(Time));
            let retried = if run.retried == 0 { String::new() } else { run.retried.to_string() };
            vec![
                Cell::from(run.run.to_string()),
                Cell::from(run.workflow.to_string()),
                Cell::from(run.phase.clone()),
                Cell::from(format!("{}/{}", run.progress.0, run.progress.1)),
                Cell::from(retried),
                Cell::from(time::span(started.as_ref(), finished.as_ref(), now)),
                Cell::from(time::age(Some(&Time(run.accepted_at)), now)),
                Cell::from(run.cause.clone()),
                Cell::from(message(run)),
            ]
        })
        .collect();
    let headings = ["RUN", "WORKFLOW", "PHASE", "PROGRESS", "RETRIED", "DURATION", "ACCEPTED", "CAUSE", "MESSAGE"];
    table::render(&headings, &rows, style)
}

fn message(run: &Kept) -> String {
    let said = run.message.clone().unwrap_or_default();
    match run.outputs_removed_at {
        Some(at) => format!("{said}; outputs removed {}", time::moment(&Time(at))).trim_start_matches("; ").to_owned(),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { colour: false, width: None };

    const LINES: &str = r#"{"run":"audit-1","workflow":"audit","phase":"Failed","progress":[2,3],"cause":"generation 1","retried":0,"acceptedAt":"2026-11-21T10:00:00Z","startedAt":"2026-11-21T10:00:01Z","finishedAt":"2026-11-21T10:00:31Z","message":"step c: no luck"}
{"run":"audit-2","workflow":"audit","phase":"Pending","progress":[0,3],"cause":"request x","retried":1,"acceptedAt":"2026-11-21T11:00:00Z","startedAt":null,"finishedAt":null,"message":null}
"#;

    #[test]
    fn runs_are_searched_by_phase_and_time() {
        let runs = read(LINES.as_bytes()).unwrap();
        let found = |phases: &[&str], oldest: Option<&str>| -> Vec<&str> {
            let phases: Vec<String> = phases.iter().map(|phase| (*phase).to_owned()).collect();
            let oldest = oldest.map(|oldest| oldest.parse().unwrap());
            runs.iter().filter(|run| fits(run, &phases, oldest)).map(|run| run.run.as_str()).collect()
        };
        assert_eq!(found(&[], None), ["audit-1", "audit-2"]);
        assert_eq!(found(&["failed"], None), ["audit-1"]);
        assert_eq!(found(&[], Some("2026-11-21T10:30:00Z")), ["audit-2"]);
    }

    #[test]
    fn a_table_tells_how_each_run_went() {
        let runs = read(LINES.as_bytes()).unwrap();
        let text = render(&runs, "2026-11-21T12:00:00Z".parse().unwrap(), PLAIN);
        assert!(text.contains("audit-1") && text.contains("30s") && text.contains("step c: no luck"), "{text}");
        let removed =
            LINES.replace(r#""message":"step"#, r#""outputsRemovedAt":"2026-11-21T11:00:00Z","message":"step"#);
        let text = render(&read(removed.as_bytes()).unwrap(), "2026-11-21T12:00:00Z".parse().unwrap(), PLAIN);
        assert!(text.contains("step c: no luck; outputs removed 2026-11-21 11:00:00 UTC"), "{text}");
        assert_eq!(render(&[], Timestamp::UNIX_EPOCH, PLAIN), "no run is kept that fits\n");
    }
}
