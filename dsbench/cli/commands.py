"""How a command joins the command line: its first sentence, which lists show whole, and an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def added(app: typer.Typer, command: Callable[..., Any] | typer.Typer, example: str, **settings: Any) -> None:
    """Add a command, or a group of commands, to `app`; `settings` are Typer's."""
    epilog = f"Example: {example}"
    if isinstance(command, typer.Typer):
        app.add_typer(command, epilog=epilog, short_help=str(command.info.help), **settings)
    else:
        sentence = " ".join(str(command.__doc__).partition("\n\n")[0].split())
        app.command(epilog=epilog, short_help=sentence, **settings)(command)


def command(app: typer.Typer, name: str, example: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that adds a command by `name`."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        added(app, function, example, name=name)
        return function

    return add
