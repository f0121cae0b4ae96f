"""`python -m ringback_memory`: runs the service with the settings of the environment."""

from ringback_serving import run

from ringback_memory.bootstrap import main
from ringback_memory.settings import load_settings


async def _main() -> None:
    await main(load_settings())


if __name__ == "__main__":
    run(_main)
