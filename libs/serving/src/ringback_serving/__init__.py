"""Run one gRPC service: health, drain, deadline floor, error mapping."""
