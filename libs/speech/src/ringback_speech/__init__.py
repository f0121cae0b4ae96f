"""Local speech: voice activity, recognition, synthesis, resampling."""
