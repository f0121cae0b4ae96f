"""The embedded extractor: which slots a caller's utterance fills, read by the pack's schemas alone.

Deterministic, without a model or a network. Three steps: what the agent had asked or offered (`dialogue`), which
values the words hold (`values`), which slot each value is for (`assign`).
"""

from ringback_memory.domain.extraction.assign import Found, names_in
from ringback_memory.domain.extraction.dialogue import Reading, read_caller

__all__ = ["Found", "Reading", "names_in", "read_caller"]
