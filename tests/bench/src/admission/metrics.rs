//! What the API server itself counted: time in its admission plugins, as the histograms of `/metrics` have it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use kube::Client;

/// Plugins that a rival can be in.
const PLUGINS: [&str; 3] = ["MutatingAdmissionWebhook", "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook"];
/// Time in a plugin for one request, over all webhooks or bindings.
const PLUGIN: &str = "apiserver_admission_controller_admission_duration_seconds";
/// Time of one call of a webhook.
const WEBHOOK: &str = "apiserver_admission_webhook_admission_duration_seconds";
/// Time of the checks of one policy.
const POLICY: &str = "apiserver_validating_admission_policy_check_duration_seconds";

/// Sums of a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Seconds in the plugins.
    in_plugins: f64,
    /// Seconds in calls of webhooks and checks of policies.
    in_calls: f64,
    /// Calls of webhooks and checks of policies by upper bound in seconds, cumulative as the API server counts them.
    calls: BTreeMap<String, f64>,
}

/// Difference of two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spent {
    /// Seconds in the plugins.
    pub in_plugins: f64,
    /// Mean seconds of a call or check; `None` without calls.
    pub each: Option<f64>,
    /// Share of the calls and checks that took at most 5 ms (webhooks) or 1 ms (policies), the API server's own bounds; `None` without calls.
    pub quick: Option<f64>,
}

impl Counters {
    /// Reads them from the API server.
    pub async fn read(client: &Client) -> Result<Self> {
        Ok(Self::parse(
            &client.request_text(http::Request::get("/metrics").body(Vec::new())?).await.context("no metrics")?,
        ))
    }

    fn parse(text: &str) -> Self {
        let mut counters = Self::default();
        for line in text.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let label = |key: &str| {
                labels.split(',').find_map(|pair| {
                    let (found, value) = pair.trim_end_matches('}').split_once('=')?;
                    (found == key).then(|| value.trim_matches('"'))
                })
            };
            // The API server has webhooks of its own plugins under the operations of every kind; the kinds differ by time only.
            if name == format!("{PLUGIN}_sum") && label("name").is_some_and(|plugin| PLUGINS.contains(&plugin)) {
                counters.in_plugins += value;
            }
            if name == format!("{WEBHOOK}_sum") || name == format!("{POLICY}_sum") {
                counters.in_calls += value;
            }
            if (name == format!("{WEBHOOK}_bucket") || name == format!("{POLICY}_bucket"))
                && let Some(bound) = label("le")
            {
                *counters.calls.entry(bound.to_owned()).or_default() += value;
            }
        }
        counters
    }

    /// What was spent since an earlier moment.
    pub fn since(&self, earlier: &Self) -> Spent {
        let grown = |bound: &str| {
            let of = |counters: &Self| counters.calls.get(bound).copied().unwrap_or_default();
            of(self) - of(earlier)
        };
        let (calls, quick) = (grown("+Inf"), grown("0.005") + grown("0.001"));
        let of_calls = |sum: f64| (calls > 0.0).then_some(sum / calls);
        Spent {
            in_plugins: self.in_plugins - earlier.in_plugins,
            each: of_calls(self.in_calls - earlier.in_calls),
            quick: of_calls(quick),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_moments() {
        let text = |sum: f64, calls: f64, quick: f64, all: f64| {
            format!(
                "# TYPE {PLUGIN} histogram\n\
                 {PLUGIN}_sum{{name=\"ValidatingAdmissionWebhook\",operation=\"CREATE\",rejected=\"false\",type=\"validate\"}} {sum}\n\
                 {PLUGIN}_sum{{name=\"NamespaceLifecycle\",operation=\"CREATE\",rejected=\"false\",type=\"validate\"}} 9\n\
                 {WEBHOOK}_sum{{name=\"x\",operation=\"CREATE\",rejected=\"false\",type=\"validating\"}} {calls}\n\
                 {WEBHOOK}_bucket{{name=\"x\",operation=\"CREATE\",rejected=\"false\",type=\"validating\",le=\"0.005\"}} {quick}\n\
                 {WEBHOOK}_bucket{{name=\"x\",operation=\"CREATE\",rejected=\"false\",type=\"validating\",le=\"+Inf\"}} {all}\n"
            )
        };
        let spent = Counters::parse(&text(3.5, 2.25, 30.0, 40.0)).since(&Counters::parse(&text(1.0, 1.0, 10.0, 15.0)));
        assert_eq!(spent, Spent { in_plugins: 2.5, each: Some(0.05), quick: Some(0.8) });
    }
}
