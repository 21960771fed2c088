//! The tables of the admission, with the ratios that hold on any machine.

use std::{collections::BTreeMap, time::Duration};

use super::{ROUNDS, added::Added, decision, direct::Figures, fleet::Recorded, rival::Rival};
use crate::quantile::{Sample, millis};

/// What our webhook is called.
pub const OURS: &str = "Tetrarch";

/// Figures of the decision alone.
#[derive(Default)]
pub struct DecisionTable(Vec<(usize, decision::Figures)>);

impl DecisionTable {
    /// Adds the figures of so many Domains.
    pub fn add(&mut self, domains: usize, figures: Vec<decision::Figures>) {
        self.0.extend(figures.into_iter().map(|figures| (domains, figures)));
    }

    /// Prints the table, by review and number of Domains.
    pub fn print(&mut self) {
        self.0.sort_by_key(|(domains, figures)| (figures.kind, *domains));
        println!(
            "### A decision in this process, one thread\n\n| review | Domains | of them in turn | µs p50 | p99 | max | with JSON in and out: µs p50 | p99 | max |\n|---|---|---|---|---|---|---|---|---|"
        );
        for (domains, figures) in &self.0 {
            let of = |sample: &Sample| [50, 99, 100].map(|percent| micros(sample.percentile(percent))).join(" | ");
            println!(
                "| {} | {domains} | {} | {} | {} |",
                figures.kind.name(),
                figures.among,
                of(&figures.decided),
                of(&figures.answered)
            );
        }
        println!();
        for kind in Recorded::ALL {
            let rows = self.0.iter().filter(|(_, figures)| figures.kind == kind);
            let p50 = |(domains, figures): &(usize, decision::Figures)| {
                (Some(*domains), figures.decided.percentile(50).as_secs_f64())
            };
            let (all, few): (Vec<_>, Vec<_>) = rows.partition(|(domains, figures)| figures.among == *domains);
            flatness(&format!("{}, p50 of the decision, all in turn", kind.name()), all.iter().map(|row| p50(row)));
            if !few.is_empty() {
                let first = all.first().into_iter().chain(&few);
                flatness(&format!("{}, p50 of the decision, few in turn", kind.name()), first.map(|row| p50(row)));
            }
        }
        println!();
    }
}

fn micros(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e6)
}

/// Figures of the ports of the webhooks.
#[derive(Default)]
pub struct DirectTable(Vec<DirectRow>);

struct DirectRow {
    server: &'static str,
    domains: Option<usize>,
    resident: Option<f64>,
    figures: Figures,
}

impl DirectTable {
    /// Adds what a server did with so many Domains, and the MiB that it had resident then.
    pub fn add(&mut self, server: &'static str, domains: Option<usize>, resident: Option<f64>, figures: Figures) {
        self.0.push(DirectRow { server, domains, resident, figures });
    }

    /// Prints the table, by server and number of Domains.
    pub fn print(&mut self, rate: f64) {
        self.0.sort_by_key(|row| (row.server != OURS, row.server, row.domains));
        let ours: BTreeMap<_, _> = self.of(OURS).collect();
        println!(
            "### Reviews straight to the webhook, server on one core (creations of 4 kB; the best of {ROUNDS} rounds each)\n\n| server | Domains | p50 ms at 50/s | p99 ms at 50/s | p50 ms at {rate:.0}/s | p99 ms at {rate:.0}/s | most per second with p99 < 5 ms | Tetrarch gives | MiB resident |\n|---|---|---|---|---|---|---|---|---|"
        );
        for DirectRow { server, domains, resident, figures } in &self.0 {
            let busy = |percent| {
                let time = millis(figures.busy.percentile(percent));
                if figures.kept_up { time } else { format!("cannot ({time})") }
            };
            let ratio = ours.get(domains).map_or_else(String::new, |ours| format!("{:.1} ×", ours / figures.most));
            println!(
                "| {server} | {} | {} | {} | {} | {} | {:.0} | {ratio} | {} |",
                domains.map_or_else(|| "any".to_owned(), |n| n.to_string()),
                millis(figures.calm.percentile(50)),
                millis(figures.calm.percentile(99)),
                busy(50),
                busy(99),
                figures.most,
                resident.map_or_else(String::new, |mib| format!("{mib:.0}"))
            );
        }
        println!();
        for server in [OURS, "Gatekeeper"] {
            flatness(&format!("{server}, most per second"), self.of(server));
        }
        println!();
    }

    fn of(&self, server: &str) -> impl Iterator<Item = (Option<usize>, f64)> {
        self.0.iter().filter(move |row| row.server == server).map(|row| (row.domains, row.figures.most))
    }
}

/// Says by which factor the last figure differs from the first.
pub fn flatness(what: &str, figures: impl Iterator<Item = (Option<usize>, f64)>) {
    let figures: Vec<(usize, f64)> = figures.filter_map(|(domains, figure)| Some((domains?, figure))).collect();
    if let (Some((few, first)), Some((many, last))) = (figures.first(), figures.last())
        && few != many
    {
        println!("- {what}: {:.2} times as much with {many} Domains as with {few}", last / first);
    }
}

/// Figures of writes to the API server.
#[derive(Default)]
pub struct AddedTable(Vec<(Rival, usize, f64, Added)>);

impl AddedTable {
    /// Adds what a rival added with so many Domains at this rate.
    pub fn add(&mut self, rival: Rival, domains: usize, rate: f64, added: Added) {
        self.0.push((rival, domains, rate, added));
    }

    /// Prints the table, by rival, rate and number of Domains.
    pub fn print(&mut self) {
        let place = |rival: Rival| Rival::ALL.iter().position(|other| *other == rival);
        self.0.sort_by(|a, b| (place(a.0), a.1).cmp(&(place(b.0), b.1)).then(a.2.total_cmp(&b.2)));
        println!(
            "### What a creation through the API server pays (the best of {ROUNDS} rounds each)\n\n| enforced by | Domains | creations/s | pairs | mean ms in the admission plugins (API server) | as much as Tetrarch | mean ms of a call (API server) | calls ≤ 5 ms (API server) | mean ms of a refusing call or check (API server) | median ms added (client) | p99 ms with less p99 without (client) |\n|---|---|---|---|---|---|---|---|---|---|---|"
        );
        for (rival, domains, rate, added) in &self.0 {
            let ours =
                self.0.iter().find(|(r, d, x, _)| *r == Rival::Tetrarch && d == domains && x.total_cmp(rate).is_eq());
            let ratio = ours
                .map_or_else(String::new, |(.., ours)| format!("{:.1} ×", ratio(added.in_plugins, ours.in_plugins)));
            let missing = if added.missing > 0 { format!(" ({} unanswered)", added.missing) } else { String::new() };
            println!(
                "| {} | {domains} | {rate:.0} | {}{missing} | {:.3} | {ratio} | {} | {} | {} | {:.2} | {:.2} |",
                rival.name(),
                added.pairs,
                added.in_plugins.as_secs_f64() * 1000.0,
                mean(added.each),
                added.quick.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share)),
                mean(added.refusing),
                added.median,
                added.p99
            );
        }
        println!();
        for rival in Rival::ALL.into_iter().filter(|rival| *rival != Rival::Nobody) {
            let slowest = self.0.iter().map(|(_, _, rate, _)| *rate).fold(f64::INFINITY, f64::min);
            let rows = self.0.iter().filter(|(r, _, rate, _)| *r == rival && rate.total_cmp(&slowest).is_eq());
            flatness(
                &format!("{}, mean in the plugins at {slowest:.0}/s", rival.name()),
                rows.map(|(_, domains, _, added)| (Some(*domains), added.in_plugins.as_secs_f64())),
            );
        }
        println!();
    }
}

fn mean(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.3}", time.as_secs_f64() * 1000.0))
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-9)
}
