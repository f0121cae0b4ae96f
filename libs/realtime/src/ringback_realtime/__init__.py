"""The Realtime protocol: typed events, classification, validation."""
