"""Loading, validating, publishing and fetching agent packs."""
