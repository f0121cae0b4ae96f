"""Ids, canonical arguments, digests and decision MACs."""
