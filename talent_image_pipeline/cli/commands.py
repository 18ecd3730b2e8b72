"""The list of commands, by section, and the options that come before a command.

Each command stands in a module of its own group beside this one; nothing of it is imported before it is used.
"""

import logging
import os
from pathlib import Path

import click

from talent_image_pipeline.cli.command_group import LazyCommand, LazyGroup, Section

_HERE = "talent_image_pipeline.cli"

_COMPLETION = """\b
Shell completion, for this session or in your shell's start-up file:
  eval "$(_TALENT_IMAGES_COMPLETE=bash_source talent-images)"    or zsh_source
  _TALENT_IMAGES_COMPLETE=fish_source talent-images | source
"""
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

SECTIONS = {
    "Try it": Section(
        commands={
            "demo": LazyCommand(
                location=f"{_HERE}.demo:demo",
                summary="Sync sample talents against a sandbox of the platforms and show the result.",
            ),
            "sandbox": LazyCommand(
                location=f"{_HERE}.sandbox:sandbox",
                summary="Serve a sandbox of the three platforms on loopback, with the sample talents' accounts.",
            ),
            "contact-sheet": LazyCommand(
                location=f"{_HERE}.contact_sheet:contact_sheet",
                summary="Write an HTML page that shows how pictures are cropped and how initials are drawn.",
            ),
        },
        example="talent-images demo",
    ),
    "Talents": Section(
        commands={
            "list": LazyCommand(
                location=f"{_HERE}.talents:list_command",
                summary="List the talents, where their pictures come from and which of them need attention.",
            ),
            "show": LazyCommand(
                location=f"{_HERE}.show:show",
                summary="Show everything about one talent's picture: accounts, last reads, decision, pin and history.",
            ),
            "refresh": LazyCommand(
                location=f"{_HERE}.runs:refresh",
                summary="Read talents' accounts now, whether or not they are due, and show the pictures that win.",
            ),
            "sync": LazyCommand(
                location=f"{_HERE}.runs:sync",
                summary="Sync everyone who is due, or those of the named talents who are.",
            ),
            "rollback": LazyCommand(
                location=f"{_HERE}.pins:rollback",
                summary="Pin an earlier picture of a talent until it is unpinned.",
            ),
            "unpin": LazyCommand(
                location=f"{_HERE}.pins:unpin",
                summary="Unpin a talent's picture, so that the platforms decide again.",
            ),
        },
        example="talent-images show talent_maya_stone",
    ),
    "Operate": Section(
        commands={
            "migrate": LazyCommand(
                location=f"{_HERE}.migrate:migrate",
                summary="Bring the database to the schema that this version needs.",
            ),
            "serve": LazyCommand(
                location=f"{_HERE}.serve:serve",
                summary="Serve the HTTP API, the pictures and the initials.",
            ),
            "release": LazyCommand(
                location=f"{_HERE}.release:release",
                summary=(
                    "Drop the pictures that a platform says are gone and that are held back because they are too many."
                ),
            ),
            "doctor": LazyCommand(
                location=f"{_HERE}.doctor:doctor",
                summary="Report what is configured, what can be reached and what is missing.",
            ),
            "verify": LazyCommand(
                location=f"{_HERE}.store:verify",
                summary="Read every stored picture and report damage.",
            ),
            "gc": LazyCommand(
                location=f"{_HERE}.store:gc",
                summary="Remove stored pictures that no account, version or pin refers to.",
            ),
        },
        example="talent-images doctor",
    ),
}


@click.group(cls=LazyGroup, sections=SECTIONS, context_settings=_CONTEXT, epilog=_COMPLETION)
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read settings from this file instead of .env.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the embedded database and pictures here instead of in .talent-images.",
)
@click.version_option(package_name="talent-image-pipeline", message="%(prog)s %(version)s")
def talent_images(*, env_file: Path | None, data_dir: Path | None) -> None:
    """Keep one current, valid, well-cropped profile picture for every talent, under a URL that never breaks."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # Through the environment, so that child processes see the same.
    if env_file is not None:
        os.environ["TALENT_ENV_FILE"] = str(env_file.absolute())
    if data_dir is not None:
        os.environ["TALENT_DATA_DIR"] = str(data_dir.absolute())
