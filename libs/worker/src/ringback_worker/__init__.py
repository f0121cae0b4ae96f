"""Write a tool as a typed Python function, and run it as a worker of your own team.

    from ringback_worker import tool, work

    @tool(subject="shop.stock")
    def stock(item: str) -> dict[str, int]:
        "How many of an item are left."
        return {"left": 3}

    work(stock)

`python -m ringback_worker shop.tools:stock` prints the entry for tools.yaml. The types of the function are the
schema; what they do not say is refused before the function runs. Errors of `ringback_errors` are answers
(NotFound, Conflict, Unavailable …); any other exception is a failure whose text stays here.
"""

from ringback_worker.declaring import Context, ToolFunction, tool, tool_of
from ringback_worker.describing import entry_of
from ringback_worker.running import Worker, work

__all__ = ["Context", "ToolFunction", "Worker", "entry_of", "tool", "tool_of", "work"]
