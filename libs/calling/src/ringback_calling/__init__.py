"""Call one gRPC service: deadline, retry, breaker, error mapping."""
