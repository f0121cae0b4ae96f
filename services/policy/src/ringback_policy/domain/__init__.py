"""The pure part of policy: bundles, conditions, decisions, consent reading, prompts. No I/O, no clock, no randomness."""
