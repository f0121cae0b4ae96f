"""`ringback eval turns`: labelled sounds of synthetic callers over a speaking agent, and what became of them.

The windows are those of τ-voice's judge-free interaction metrics (sierra-research/tau2-bench,
docs/interaction-metrics.md): an interruption is yielded to when the agent stops within 2.0 s, a backchannel is talked
through when the agent does not stop within 1.0 s.
"""
