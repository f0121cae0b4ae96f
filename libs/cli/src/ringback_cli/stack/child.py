"""Starts one program that must not outlive the supervisor: `python child.py PARENT_PID PROGRAM ARGUMENT…`.

Run as a file, so that nothing else is imported. On Linux the kernel ends the program when its parent dies, however it
dies; elsewhere the program is started as it is and ends with the supervisor's own stop.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            # The parent died before the request could take effect.
            sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
