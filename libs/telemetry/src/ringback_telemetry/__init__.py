"""OpenTelemetry set-up and propagation; every name from one registry."""
