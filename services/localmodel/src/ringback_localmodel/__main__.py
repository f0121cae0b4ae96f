"""``python -m ringback_localmodel``: load the settings, build the server, serve until told to stop."""

from ringback_serving.run import run

from ringback_localmodel.bootstrap import serve
from ringback_localmodel.settings import LocalModelSettings


async def main() -> None:
    await serve(LocalModelSettings.from_env())


if __name__ == "__main__":
    run(main)
