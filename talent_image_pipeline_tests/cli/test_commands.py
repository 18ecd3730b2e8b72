"""The list of commands: it is printed without loading what the commands need, and tells the truth about them."""

import json
import subprocess
import sys

import click

from talent_image_pipeline.cli.commands import SECTIONS, talent_images

# What makes a start slow. Nothing of it is needed to say which commands there are.
EXPENSIVE = (
    "PIL",
    "aiohttp",
    "alembic",
    "cv2",
    "dagster",
    "httpx",
    "numpy",
    "obstore",
    "pandas",
    "pydantic",
    "rich",
    "sqlalchemy",
    "starlette",
    "talent_image_pipeline.sandbox",
    "uvicorn",
)
_HELP = """
import contextlib, io, json, sys
sys.argv = ["talent-images", "--help"]
from talent_image_pipeline.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
    main()
print(json.dumps([printed.getvalue(), sorted(sys.modules)]))
"""


def test_the_list_of_commands_is_printed_without_loading_what_they_need() -> None:
    process = subprocess.run([sys.executable, "-c", _HELP], capture_output=True, text=True, check=True)
    printed, modules = json.loads(process.stdout)

    assert "talent-images demo" in printed
    assert "doctor" in printed
    loaded = [module for module in modules if module in EXPENSIVE or module.startswith("talent_image_pipeline.sandbox")]
    assert loaded == []


def test_the_list_says_of_each_command_what_its_own_help_says_which_ends_in_an_example() -> None:
    context = click.Context(talent_images)
    for name, lazy in ((name, lazy) for section in SECTIONS.values() for name, lazy in section.commands.items()):
        command = talent_images.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").split("\n\n")[0].replace("\n", " ") == lazy.summary
        assert (command.epilog or "").startswith(f"Example: talent-images {name}")


def test_an_example_in_the_list_begins_with_a_command_of_its_section() -> None:
    for section in SECTIONS.values():
        program, command, *_ = section.example.split()
        assert program == "talent-images"
        assert command in section.commands
