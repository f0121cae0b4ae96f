"""The pure part of policy: bundles, conditions, decisions, consent, prompts. No I/O, no clock, no randomness."""
