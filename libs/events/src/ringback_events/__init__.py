"""Publish and subscribe on NATS JetStream."""
