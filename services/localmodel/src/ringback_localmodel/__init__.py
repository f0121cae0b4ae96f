"""A realtime speech model that runs here."""
