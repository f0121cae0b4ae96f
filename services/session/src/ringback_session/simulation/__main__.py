"""Simulates calls: `python -m ringback_session.simulation --calls N --seed S [--jobs J] [--minutes M] [--explain]`."""

import sys

from ringback_session.simulation.command import main

if __name__ == "__main__":
    sys.exit(main())
