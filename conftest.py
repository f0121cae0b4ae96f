"""Settings of the property tests: no deadline per example, for a busy machine is no bug; the same examples in CI."""

import os

from hypothesis import settings

settings.register_profile("ringback", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("ringback")
