//! Requests without a network: what is decided, what is refused to be read.

use axum::http::{Method, header::CONNECTION};
use rstest::rstest;
use serde_json::{Value, json};
use tetrarch_plan::admit::{Code, Finding, Verdict, review::Target};
use tower::ServiceExt;

use super::*;

/// Refuses objects with more than 50 replicas; the mutating webhook admits everything.
struct AtMostFifty;

impl Admission for AtMostFifty {
    async fn answer(&self, phase: Phase, request: Incoming) -> Value {
        let replicas = match request.review.map(|review| review.target) {
            Some(Target::Whole { new: Some(new), .. }) => new.document()["spec"]["replicas"].as_u64(),
            _ => None,
        };
        let refused = phase == Phase::Validate && replicas.is_some_and(|replicas| replicas > 50);
        let finding = || Finding::denied(Code::Limit, "spec.replicas", "is too large", "write 50 or less");
        wire::answer(&request.uid, &if refused { Verdict::refused(finding()) } else { Verdict::default() })
    }

    fn turned_away(&self, status: u16) {
        assert!((400..500).contains(&status));
    }
}

fn review(replicas: u64) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "3f\u{e9}", "operation": "CREATE", "dryRun": false,
            "kind": {"group": "tetrarch.dev", "version": "v1alpha1", "kind": "AgentPool"},
            "resource": {"group": "tetrarch.dev", "version": "v1alpha1", "resource": "agentpools"},
            "namespace": "compliance", "name": "classifier",
            "userInfo": {"username": "ada", "groups": ["system:authenticated"], "extra": {"a": ["b"]}},
            "object": {"spec": {"replicas": replicas}}, "oldObject": null, "options": {},
        },
    })
}

async fn ask(path: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let response = respond(path, body.into(), Draining::default()).await;
    let (status, body) = (response.status(), to_bytes(response.into_body(), usize::MAX).await.unwrap());
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn respond(path: &str, body: Body, draining: Draining) -> Response {
    let request = Request::builder().method(Method::POST).uri(path).body(body).unwrap();
    router(AtMostFifty, draining).oneshot(request).await.unwrap()
}

async fn answer(path: &str, review: &Value) -> Value {
    let (status, body) = ask(path, review.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["apiVersion"], &body["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")));
    assert_eq!(body["response"]["uid"], "3f\u{e9}");
    body["response"].clone()
}

#[tokio::test]
async fn the_two_webhooks_are_told_apart_and_a_refusal_carries_its_message() {
    assert_eq!(answer("/mutate", &review(80)).await["allowed"], true);
    assert_eq!(answer("/validate", &review(50)).await["allowed"], true);
    let response = answer("/validate", &review(80)).await;
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["message"], "spec.replicas: is too large: write 50 or less");
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut review = review(1);
    change(&mut review);
    review.to_string()
}

#[rstest]
#[case::nothing(String::new(), "EOF")]
#[case::no_json("{".to_owned(), "EOF")]
#[case::array("[]".to_owned(), "invalid")]
#[case::no_review("{}".to_owned(), "send an AdmissionReview of admission.k8s.io/v1")]
#[case::old(with(|review| review["apiVersion"] = json!("admission.k8s.io/v1beta1")), "v1beta1")]
#[case::answer(with(|review| { review.as_object_mut().unwrap().remove("request"); }), "holds no request")]
#[case::no_uid(with(|review| { review["request"].as_object_mut().unwrap().remove("uid"); }), "uid")]
#[case::operation(with(|review| review["request"]["operation"] = json!("EAT")), "EAT")]
#[case::deep(review(1).to_string().replace(r#"{"replicas":1}"#, &"[".repeat(100_000)), "expected value")]
#[case::not_utf8(with(|_| ()).replace("3f", "\\ud800"), "hex escape")]
#[tokio::test]
async fn what_is_no_question_gets_400_and_the_reason(#[case] body: String, #[case] expected: &str) {
    let (status, answer) = ask("/validate", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer.contains(expected), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read_to_its_end() {
    let (status, _) = ask("/validate", " ".repeat(BODY_LIMIT + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096])));
    let (status, _) = ask("/validate", Body::from_stream(endless)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_replica_that_is_about_to_go_closes_connections_after_their_answer() {
    let draining = Draining::default();
    let header = |response: Response| response.headers().get(CONNECTION).cloned();
    let body = || Body::from(review(1).to_string());
    assert_eq!(header(respond("/validate", body(), draining.clone()).await), None);
    draining.begin();
    assert_eq!(header(respond("/validate", body(), draining).await).unwrap(), "close");
}

#[tokio::test]
async fn other_paths_and_methods_are_not_served() {
    assert_eq!(ask("/metrics", "").await.0, StatusCode::NOT_FOUND);
    let get = Request::builder().uri("/validate").body(Body::empty()).unwrap();
    let response = router(AtMostFifty, Draining::default()).oneshot(get).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
