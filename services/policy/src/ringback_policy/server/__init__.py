"""Policy's gRPC face."""
