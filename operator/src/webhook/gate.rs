//! One request from the question to the answer: the pure decision, what it leaves open, and the record of it.

use std::{sync::Arc, time::Instant};

use serde_json::Value;
use tetrarch_plan::admit::{
    Check, Code, Finding, Mutation, Review, User, Verdict, decide, mutate,
    wire::{self, Incoming},
};

use super::{
    access::Access,
    ancestors::{self, Ancestors},
    app::{Admission, Phase},
    audit::Audit,
    booking::Books,
    hierarchy::Hierarchy,
    record::{Decision, Record},
};
use crate::{clock::Clock, telemetry::metrics::admission::AdmissionMetrics};

/// Decides about writes with all that this replica knows and may ask.
pub struct Gate {
    /// What is known of the hierarchy.
    pub hierarchy: Hierarchy,
    /// What exists above an object, whether or not it was seen.
    pub ancestors: Arc<dyn Ancestors>,
    /// Who may do what.
    pub access: Arc<dyn Access>,
    /// Who books capacity; none where nothing is counted.
    pub books: Option<Arc<dyn Books>>,
    /// Who remembers decisions.
    pub audit: Audit,
    /// Counts decisions.
    pub metrics: AdmissionMetrics,
    /// The time of day.
    pub clock: Clock,
}

impl Admission for Gate {
    async fn answer(&self, phase: Phase, request: Incoming) -> Value {
        let Incoming { uid, review } = request;
        let Some(review) = review else { return wire::answer(&uid, &Verdict::default()) };
        match phase {
            Phase::Validate => wire::answer(&uid, &self.validate(&uid, &review).await),
            Phase::Mutate => wire::answer_mutation(&uid, &self.mutate(&uid, &review).await),
        }
    }

    fn turned_away(&self, status: u16) {
        self.metrics.turned_away(status);
    }
}

impl Gate {
    async fn validate(&self, id: &str, review: &Review) -> Verdict {
        let begun = Instant::now();
        let mut verdict = match ancestors::informed(&self.hierarchy, self.ancestors.as_ref(), review).await {
            Ok(index) => decide(review, &index, self.clock.now()),
            Err(finding) => Verdict { denials: vec![finding], ..Verdict::default() },
        };
        if verdict.is_allowed() {
            verdict.denials = self.check(&review.user, &verdict.checks).await;
        }
        // Last of all: what is booked must not be refused for another reason.
        if verdict.is_allowed()
            && !review.dry_run
            && let (Some(books), Some(booking)) = (&self.books, &verdict.booking)
        {
            match books.book(booking).await {
                Ok(recorded) => verdict.audits.extend(recorded),
                Err(finding) => verdict.denials.push(finding),
            }
        }
        let decision = Decision::of(&verdict);
        self.metrics.decided(review.kind, review.operation, decision, begun.elapsed());
        if decision != Decision::Admitted || verdict.record {
            let findings = [&verdict.denials, &verdict.held, &verdict.warnings, &verdict.audits];
            let findings = findings.into_iter().flatten().cloned().collect();
            self.record(decision, review, Record::new(id, self.clock.now(), decision, review, findings));
        }
        verdict
    }

    async fn mutate(&self, id: &str, review: &Review) -> Mutation {
        let begun = Instant::now();
        let mut mutation = match ancestors::informed(&self.hierarchy, self.ancestors.as_ref(), review).await {
            Ok(index) => mutate(review, &index, self.clock.now()),
            Err(finding) => Mutation { denials: vec![finding], ..Mutation::default() },
        };
        if mutation.denials.is_empty() {
            mutation.denials = self.check(&review.user, &mutation.checks).await;
        }
        if let Some(decision) = Decision::of_mutation(&mutation) {
            self.metrics.decided(review.kind, review.operation, decision, begun.elapsed());
            let mut record = Record::new(id, self.clock.now(), decision, review, mutation.denials.clone());
            if mutation.denials.is_empty() {
                record = record.with_step(mutation.decision.clone()).with_requests(mutation.asked.clone());
            }
            self.record(decision, review, record);
        }
        mutation
    }

    /// What follows from permissions that the writer lacks.
    async fn check(&self, user: &User, checks: &[Check]) -> Vec<Finding> {
        let mut denials = Vec::new();
        for check in checks {
            match self.access.allows(user, check).await {
                Ok(true) => {}
                Ok(false) => denials.push(check.otherwise.clone()),
                Err(error) => {
                    tracing::warn!(verb = check.verb, kind = %check.kind, %error, "a permission cannot be looked up");
                    denials.push(Finding::denied(
                        Code::Permission,
                        check.otherwise.field.clone(),
                        format!("the API server did not say whether {} may {} it", user.name, check.verb),
                        "try again in a moment",
                    ));
                }
            }
        }
        denials
    }

    fn record(&self, decision: Decision, review: &Review, record: Record) {
        tracing::info!(
            decision = decision.label(),
            operation = record.operation.as_str(),
            kind = record.kind.as_str(),
            namespace = record.namespace,
            name = record.name,
            user = record.user,
            dry_run = review.dry_run,
            request = record.id,
            message = record.message(),
        );
        // A dry run has no effects, and nobody must find traces of what never was.
        if !review.dry_run {
            self.audit.remember(record);
        }
    }
}

#[cfg(test)]
mod tests;
