"""The dialogue brain's rules, pure: conversation in, steps out."""

from ringback_localmodel.domain.dialogue.brain import DialogueRules

__all__ = ["DialogueRules"]
