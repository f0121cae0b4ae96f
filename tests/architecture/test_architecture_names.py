"""Telemetry names and NATS subjects are declared once, in their registries, and nowhere else."""

import ast
import re
from collections.abc import Iterator

SUBJECT = re.compile(r"^ringback\.(events|facts|control|audit|parked)\.")
BY_NAME = {"span", "start_span", "add_event", "histogram", "counter", "gauge"}


def test_subjects_are_built_in_the_events_lib_alone(repository):
    found = [
        f"{module.path}:{line}: {text}"
        for package in repository.own_packages
        if package.name != "events"
        for module in package.modules
        for line, text in _texts(module.tree)
        if SUBJECT.match(text)
    ]
    assert not found, "take them from ringback_events.subjects:\n" + "\n".join(found)


def test_telemetry_names_come_from_the_registry(repository):
    found = [
        f"{module.path}:{line}: {text}"
        for package in repository.own_packages
        if package.name != "telemetry"
        for module in package.modules
        for line, text in _named_in_place(module.tree)
    ]
    assert not found, "take them from ringback_telemetry.names:\n" + "\n".join(found)


def test_no_service_makes_tracers_or_meters_of_its_own(repository):
    found = [
        f"{module.path}:{line}: {name}"
        for package in repository.own_packages
        if package.name != "telemetry"
        for module in package.modules
        for line, name in module.imported()
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.metrics"))
    ]
    assert not found, found


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def _named_in_place(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=called), args=[ast.Constant(value=str(text)), *_]) if (
                called in BY_NAME
            ):
                yield node.lineno, f"{called}({text!r})"
