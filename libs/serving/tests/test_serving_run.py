"""A main ends the process with the exit code that its end deserves."""

import asyncio

import pytest
from ringback_errors import ConfigError
from ringback_serving import run


def exit_of(main):
    with pytest.raises(SystemExit) as caught:
        run(main)
    return caught.value.code


def test_a_main_that_ends_exits_with_zero():
    async def main():
        assert "uvloop" in type(asyncio.get_running_loop()).__module__

    assert exit_of(main) == 0


def test_bad_settings_are_one_line_and_exit_code_two(capsys):
    async def plain():
        raise ConfigError("RINGBACK_PORT: expected\na number")

    async def grouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(plain())

    for main in (plain, grouped):
        assert exit_of(main) == 2
        assert capsys.readouterr().err == "cannot start: RINGBACK_PORT: expected a number\n"


def test_any_other_failure_is_not_hidden():
    async def grouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(plain())

    async def plain():
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        run(plain)
    with pytest.raises(ExceptionGroup):
        run(grouped)
