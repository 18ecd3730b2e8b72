"""A group of commands that are imported when they are used, and whose errors are printed in one place.

What the commands are stands in ``commands.py``.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext
from typing import Any

import click
from click.shell_completion import CompletionItem

from talent_image_pipeline.cli.main import EXIT_AFTER_INTERRUPT
from talent_image_pipeline.cli.user_errors import message_for


@dataclass(frozen=True, kw_only=True)
class LazyCommand:
    """A command that is not imported before it is used.

    Attributes:
        location: The module and the name in it, as ``package.module:name``.
        summary: The first sentence of the command's help.
    """

    location: str
    summary: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, name = self.location.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@dataclass(frozen=True, kw_only=True)
class Section:
    """Commands that are listed together.

    Attributes:
        commands: By the name that is typed.
        example: A line that can be typed as it stands.
    """

    commands: Mapping[str, LazyCommand]
    example: str


class Interrupted(click.ClickException):
    """A person pressed Ctrl-C."""

    exit_code = EXIT_AFTER_INTERRUPT

    def __init__(self) -> None:
        super().__init__("Interrupted.")

    def show(self, file: Any = None) -> None:
        """Print nothing but that it happened."""
        click.echo(self.message, file=file, err=file is None)


class LazyGroup(click.Group):
    """Lists its commands by section without importing them, and prints every error that a person can mend."""

    def __init__(self, *args: Any, sections: Mapping[str, Section], **kwargs: Any) -> None:
        """Take the commands by the title of their section; the rest is as in ``click.Group``."""
        super().__init__(*args, **kwargs)
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections."""
        return [name for section in self.sections.values() for name in section.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name."""
        lazy = next((s.commands[cmd_name] for s in self.sections.values() if cmd_name in s.commands), None)
        return lazy.load() if lazy is not None else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section with its example."""
        width = max(len(name) for name in self.list_commands(ctx))
        for title, section in self.sections.items():
            with formatter.section(title):
                rows = [(name.ljust(width), command.summary) for name, command in section.commands.items()]
                formatter.write_dl(rows)
                formatter.write_paragraph()
                formatter.write_text(f"{gettext('Example')}: {section.example}")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=command.summary)
            for section in self.sections.values()
            for name, command in section.commands.items()
            if name.startswith(incomplete)
        ]

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what a person can mend is printed as a message, without a traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None
        except Exception as error:
            message = message_for(error)
            if message is None:
                raise
            raise click.ClickException(message) from None
