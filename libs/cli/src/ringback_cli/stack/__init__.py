"""A whole stack on one machine: which processes, in which order, looked after until they are stopped."""
