"""Runs actions against other systems, once, within a deadline.

gRPC looks at this variable once, when it is first imported, so it is set before anything of this service is. An MCP
server over stdio is started by a fork that becomes its program at once; gRPC would only complain of it on stderr.
"""

import os

os.putenv("GRPC_ENABLE_FORK_SUPPORT", "0")
