//! Pure decisions with Kubernetes shapes: names, parsing, building, reconciling, reporting. Knows no client.
