"""The ringback command."""
