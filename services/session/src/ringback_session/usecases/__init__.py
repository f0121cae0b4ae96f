"""What session does: run one call, keep its record, take calls in."""
