"""The few errors that cross a service boundary."""
