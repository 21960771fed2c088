//! Spans as the OpenTelemetry protocol has them: OTLP 1.x over HTTP with JSON, as far as runs need it.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding> and `opentelemetry/proto/trace/v1/trace.proto`. Ids are hexadecimal there,
//! and 64-bit numbers are texts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tetrarch_core::trace::{SpanId, TraceId};

/// Path of the collector's endpoint for spans.
pub const PATH: &str = "/v1/traces";

/// Whose work a span tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Of the operator.
    Operator,
    /// Of a Supervisor.
    Supervisor,
    /// Of a sidecar.
    Sidecar,
}

impl Service {
    /// Value of `service.name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "tetrarch-operator",
            Self::Supervisor => "tetrarch-supervisor",
            Self::Sidecar => "tetrarch-agent-sidecar",
        }
    }
}

/// How what the span tells of ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is said.
    Unset,
    /// Well.
    Ok,
    /// Badly.
    Error,
}

/// A span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// Its trace.
    pub trace_id: String,
    /// Its id.
    pub span_id: String,
    /// What it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    /// What it tells of, such as `attempt`.
    pub name: String,
    /// 1: within a process; 3: a call of another.
    pub kind: u8,
    /// Its begin, in nanoseconds.
    pub start_time_unix_nano: String,
    /// Its end, in nanoseconds.
    pub end_time_unix_nano: String,
    /// What else is known.
    pub attributes: Vec<Attribute>,
    /// How it ended.
    pub status: Status,
}

/// Something that is known of a span or of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// What.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    /// A text.
    StringValue(String),
    /// A whole number.
    IntValue(String),
}

/// How a span ended: 0 unset, 1 well, 2 badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which.
    pub code: u8,
}

impl Span {
    /// A span within a process. One that would end before it began, because the clocks of two machines differ, has no length.
    pub fn new(
        trace: TraceId,
        id: SpanId,
        parent: Option<SpanId>,
        name: impl Into<String>,
        time: (Timestamp, Timestamp),
    ) -> Self {
        let nanos = |at: Timestamp| at.as_nanosecond().max(0).to_string();
        Self {
            trace_id: trace.to_string(),
            span_id: id.to_string(),
            parent_span_id: parent.map(|parent| parent.to_string()),
            name: name.into(),
            kind: 1,
            start_time_unix_nano: nanos(time.0),
            end_time_unix_nano: nanos(time.1.max(time.0)),
            attributes: Vec::new(),
            status: Status { code: 0 },
        }
    }

    /// The same with a text.
    #[must_use]
    pub fn with(mut self, key: &str, value: &dyn std::fmt::Display) -> Self {
        self.attributes.push(Attribute { key: key.to_owned(), value: Value::StringValue(value.to_string()) });
        self
    }

    /// The same with a number.
    #[must_use]
    pub fn with_number(mut self, key: &str, value: u64) -> Self {
        self.attributes.push(Attribute { key: key.to_owned(), value: Value::IntValue(value.to_string()) });
        self
    }

    /// The same as a call of another process.
    #[must_use]
    pub const fn as_call(mut self) -> Self {
        self.kind = 3;
        self
    }

    /// The same with how it ended.
    #[must_use]
    pub const fn ended(mut self, ended: Ended) -> Self {
        self.status.code = match ended {
            Ended::Unset => 0,
            Ended::Ok => 1,
            Ended::Error => 2,
        };
        self
    }
}

/// Body of a request to the collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Spans by process.
    pub resource_spans: Vec<ResourceSpans>,
}

/// Spans of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpans {
    /// The process.
    pub resource: Resource,
    /// Its spans.
    pub scope_spans: Vec<ScopeSpans>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What is known of it.
    pub attributes: Vec<Attribute>,
}

/// Spans of one part of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScopeSpans {
    /// The part.
    pub scope: Scope,
    /// Its spans.
    pub spans: Vec<Span>,
}

/// A part of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Its name.
    pub name: String,
}

impl Request {
    /// A request with these spans.
    pub fn new(spans: Vec<(Service, Span)>) -> Self {
        let mut by_service: std::collections::BTreeMap<Service, Vec<Span>> = std::collections::BTreeMap::new();
        for (service, span) in spans {
            by_service.entry(service).or_default().push(span);
        }
        let resource_spans = by_service
            .into_iter()
            .map(|(service, spans)| {
                let name = Value::StringValue(service.as_str().to_owned());
                ResourceSpans {
                    resource: Resource { attributes: vec![Attribute { key: "service.name".to_owned(), value: name }] },
                    scope_spans: vec![ScopeSpans { scope: Scope { name: "tetrarch".to_owned() }, spans }],
                }
            })
            .collect();
        Self { resource_spans }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tetrarch_core::id::RunId;

    use super::*;

    #[test]
    fn a_request_is_what_the_protocol_says() {
        let run: RunId = "audit-0a1b2-g1".parse().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let (trace, id) = (TraceId::of_run(&run), SpanId::of_run(&run));
        let span = Span::new(trace, id, None, "run audit", (at(10), at(9)))
            .with("tetrarch.run", &run)
            .with_number("tetrarch.attempt", 2)
            .ended(Ended::Error);
        let request = serde_json::to_value(Request::new(vec![(Service::Supervisor, span)])).unwrap();
        assert_eq!(
            request,
            json!({"resourceSpans": [{
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "tetrarch-supervisor"}}]},
                "scopeSpans": [{"scope": {"name": "tetrarch"}, "spans": [{
                    "traceId": trace.to_string(), "spanId": id.to_string(), "name": "run audit", "kind": 1,
                    "startTimeUnixNano": "10000000000", "endTimeUnixNano": "10000000000",
                    "attributes": [
                        {"key": "tetrarch.run", "value": {"stringValue": "audit-0a1b2-g1"}},
                        {"key": "tetrarch.attempt", "value": {"intValue": "2"}},
                    ],
                    "status": {"code": 2},
                }]}],
            }]})
        );
    }
}
