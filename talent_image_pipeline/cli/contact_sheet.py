"""``contact-sheet``: how pictures are cropped and initials are drawn, to look at."""

from pathlib import Path

import click
from rich.console import Console

from talent_image_pipeline.operations.contact_sheet import write_contact_sheet


@click.command(name="contact-sheet", epilog="Example: talent-images contact-sheet pictures.html")
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path), default=Path("contact-sheet.html"))
def contact_sheet(output: Path) -> None:
    """Write an HTML page that shows how pictures are cropped and how initials are drawn."""
    with Console(stderr=True).status("Drawing and rendering …"):
        write_contact_sheet(output)
    click.echo(f"Wrote {output}.")
