"""The sheet by which a person judges crops and initials."""

import re
from pathlib import Path

from talent_image_pipeline.operations.contact_sheet import scenes, write_contact_sheet


def test_the_sheet_holds_every_scene_with_its_square_and_renditions_and_needs_nothing_from_outside(
    tmp_path: Path,
) -> None:
    sheet = tmp_path / "sheet.html"
    write_contact_sheet(sheet)
    html = sheet.read_text(encoding="utf-8")
    number = len(list(scenes()))
    assert html.count("<circle") == number
    assert html.count("data:image/webp") == 4 * number
    assert "Refused" not in html
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert "محمد علي" in html
