//! Access to the bus, shared by operator, supervisor and sidecar: connection, the streams of a Domain, conditional and batched writes, large values.
