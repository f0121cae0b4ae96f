"""Whole calls in virtual time: seeded actors with faults around the real use cases, views and core.

`simulate(draw(seed))` runs one call; `python -m ringback_session.simulation` runs many and makes failures small.
"""

from ringback_session.simulation.plan import Move, Plan, draw
from ringback_session.simulation.world import Outcome, simulate

__all__ = ["Move", "Outcome", "Plan", "draw", "simulate"]
