# ruff: noqa: RUF001 - names in every script are what is tested
"""Initials in every script: the conformance table, and what holds for any text at all."""

import unicodedata
from itertools import product
from string import ascii_uppercase
from xml.etree import ElementTree as ET

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import ImageFont

from talent_image_pipeline.pictures.initials.drawing import draw_initials, fitting_font_size, initials_of
from talent_image_pipeline.pictures.initials.palette import colour_pairs, colours_of, contrast_ratio

SVG = "{http://www.w3.org/2000/svg}"

CONFORMANCE = [
    # Latin: first and last word
    ("Jane Doe", "JD"),
    ("jane doe", "JD"),
    ("Ludwig van Beethoven", "LB"),
    ("Jean-Luc Picard", "JP"),
    ("Mary Jane Watson-Parker", "MW"),
    ("O'Brien Kelly", "OK"),
    ("d'Artagnan", "D"),
    ("J. K. Rowling", "JR"),
    ("J.K. Rowling", "JR"),
    ("  Jane \t\n Doe\u00a0", "JD"),
    ("@jane_doe", "JD"),
    ("50 Cent", "5C"),
    ("Madonna", "M"),
    ("1234", "1"),
    # Latin with accents, precomposed and not
    ("Élodie Çelik", "ÉÇ"),
    ("E\u0301lodie C\u0327elik", "ÉÇ"),
    ("Øystein Ångström", "ØÅ"),
    ("Nguyễn Ánh", "NÁ"),
    ("ʻAbd Allah", "AA"),
    ("x\u0323\u0302yz", "X\u0323\u0302"),
    # Capitals by the full mapping and no language's own
    ("ßeta müller", "ẞM"),
    ("ﬁona ŉab", "FN"),
    ("ilker ıldız", "II"),
    ("İbrahim ilker", "İI"),
    ("ǰan ǆemal", "J\u030cǄ"),
    ("ᾳ ΰψιλον", "Α\u03a5\u0308\u0301"),
    # Greek, Cyrillic, Armenian, Georgian: two as well
    ("Μαρία Παπαδοπούλου", "ΜΠ"),
    ("Иван Щербаков", "ИЩ"),
    ("Йосиф Ђорђевић", "ЙЂ"),
    ("Արամ Խաչատրյան", "ԱԽ"),
    ("ნინო ბერიძე", "ნბ"),
    # Chinese, Japanese, Korean: one
    ("王小明", "王"),
    ("李 小龙", "李"),
    ("山田 太郎", "山"),
    ("さくら", "さ"),
    ("アリス", "ア"),
    ("𠮷野家", "𠮷"),
    ("葛\U000e0100城", "葛\U000e0100"),
    ("김민준", "김"),
    ("\u1100\u1175\u11b7 민준", "김"),
    # Right to left: one
    ("محمد علي", "م"),
    ("فاطمة الزهراء", "ف"),
    ("رضا پهلوی", "ر"),
    ("דוד כהן", "ד"),
    # South and South-East Asia: one, with its marks
    ("अनिल कुमार", "अ"),
    ("निधि शर्मा", "नि"),
    ("क्षितिज", "क्षि"),
    ("রবীন্দ্রনাথ ঠাকুর", "র"),
    ("தமிழ் செல்வன்", "த"),
    ("కృష్ణ", "కృ"),
    ("ශ්\u200dරී ලංකා", "ශ්\u200dරී"),
    ("สมชาย ใจดี", "ส"),
    ("เอกชัย", "อ"),
    ("ເພັດ", "ພັ"),
    ("မြင့်", "မြ"),
    ("ស្រី", "ស្រី"),
    # The first letter decides in a mixed name
    ("李 John", "李"),
    ("John 李", "J李"),
    ("Анна Smith", "АS"),
    # Titles, nicknames, brackets, suffixes
    ("Dr. Jane Smith", "JS"),
    ("DR JANE SMITH", "JS"),
    ("Prof. Dr. Hans Meier", "HM"),
    ("Mr Bean", "B"),
    ("Mrs. Doubtfire", "D"),
    ("Dr.", "D"),
    ("Sir Ian McKellen", "IM"),
    ("Lady Gaga", "LG"),
    ("Gen Hoshino", "GH"),
    ("Gen. Colin Powell", "CP"),
    ("Sammy Davis Jr.", "SD"),
    ("Martin Luther King III", "MK"),
    ('Dwayne "The Rock" Johnson', "DJ"),
    ("Dwayne “The Rock” Johnson", "DJ"),
    ("Dwayne 'The Rock' Johnson", "DJ"),
    ("Jane Doe (she/her)", "JD"),
    ("Jane Doe [official]", "JD"),
    ("(Prince)", "P"),
    ('"Weird Al" Yankovic', "Y"),
    ("г-н Иван Петров", "ИП"),
    ("κος Γιώργος Σεφέρης", "ΓΣ"),
    ("د. محمد علي", "م"),
    ('ד"ר משה כהן', "מ"),
    ("श्री अमिताभ बच्चन", "अ"),
    ("ดร. สมชาย", "ส"),
    # Letters in disguise
    ("𝓙𝓪𝓷𝓮 𝓓𝓸𝓮", "JD"),
    ("Ⓙⓐⓝⓔ Ⓓⓞⓔ", "JD"),
    ("🔥 Jane 🔥 Doe 🔥", "JD"),
    ("★ Jane ★", "J"),
    # Nothing but emoji: the first, whole
    ("🔥", "🔥"),
    ("🔥💃", "🔥"),
    ("👨‍👩‍👧‍👦🔥", "👨‍👩‍👧‍👦"),
    ("👍🏽👍", "👍🏽"),
    ("🇩🇪🇫🇷", "🇩🇪"),
    ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
    ("❤️", "❤️"),
    ("... 🦊 ...", "🦊"),
    # Nothing to show
    ("", ""),
    ("   \t\n", ""),
    ("\x00\x07\x1b", ""),
    ("\u200b\u200e\ufeff", ""),
    ("\u3164", ""),
    ("\u202e\u2066", ""),
    ("?!... ---", ""),
    ("\ud83d", ""),
]


def count_graphemes(text: str) -> int:
    return len(regex.findall(r"\X", text))


@pytest.mark.parametrize(("name", "expected"), CONFORMANCE, ids=[ascii(name) for name, _ in CONFORMANCE])
def test_the_conformance_table_of_names_holds(name: str, expected: str) -> None:
    assert initials_of(name) == unicodedata.normalize("NFC", expected)


def text_of(svg: str) -> str | None:
    return ET.fromstring(svg).findtext(f"{SVG}text")  # noqa: S314 - our own drawing


@given(st.text(max_size=60) | st.text(st.characters(categories=["Lu", "Ll", "Lo", "Mn", "Mc", "Zs", "So", "Cs"])))
@example("</title><script>alert(1)</script>")
@example("\" onload='alert(1)")
@example("]]>&lt;&#0;\ufffe\uffff")
@example("Z" + "\u0301" * 500)
@example("\U0001f600\u200d" * 500)
@example("ß ﬁ")
def test_any_text_gives_a_harmless_drawing_of_at_most_two_graphemes(name: str) -> None:
    initials = initials_of(name)
    svg = draw_initials(talent_id="talent", name=name)

    assert count_graphemes(initials) <= 2
    assert len(initials) <= 24
    assert unicodedata.is_normalized("NFC", initials)
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in svg)
    root = ET.fromstring(svg.encode())  # noqa: S314 - our own drawing
    assert (root.findtext(f"{SVG}text") or "") == initials
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "rect", "text", "g", "circle", "path")
    }
    assert not any(
        attribute.startswith("on") or "href" in attribute for part in root.iter() for attribute in part.attrib
    )


@given(st.text(), st.text())
def test_a_rename_does_not_recolour(one: str, other: str) -> None:
    assert fills_of(draw_initials(talent_id="talent", name=one)) == fills_of(
        draw_initials(talent_id="talent", name=other)
    )


def fills_of(svg: str) -> set[str]:
    return set(regex.findall(r'fill="(#[0-9a-f]{6})"', svg))


@given(st.text())
def test_any_talent_id_has_colours_of_the_palette(talent_id: str) -> None:
    assert colours_of(talent_id) in colour_pairs()


def test_talents_share_the_palette_evenly() -> None:
    used = [colours_of(f"talent-{number}") for number in range(4800)]

    assert len(colour_pairs()) >= 16
    assert all(100 < used.count(pair) < 400 for pair in colour_pairs())


@pytest.mark.parametrize("pair", colour_pairs(), ids=lambda pair: str(pair.background))
def test_every_pair_of_colours_is_readable_by_everybody(pair: object) -> None:
    assert pair in colour_pairs()
    background, foreground = (getattr(pair, name) for name in ("background", "foreground"))
    assert contrast_ratio(background, foreground) >= 7
    assert contrast_ratio(foreground, background) == contrast_ratio(background, foreground)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#0000ff", "#ffffff", 8.59),
        ("#abcdef", "#abcdef", 1),
    ],
)
def test_contrast_is_what_the_guidelines_define(one: str, other: str, expected: float) -> None:
    assert contrast_ratio(one, other) == pytest.approx(expected, abs=0.01)


def test_every_pair_of_latin_capitals_stays_inside_the_circle_in_a_real_font() -> None:
    reference_size = 100
    font = ImageFont.load_default(reference_size)
    for pair in product(ascii_uppercase, repeat=2):
        initials = "".join(pair)
        left, top, right, bottom = font.getbbox(initials)
        scale = fitting_font_size(initials) / reference_size
        half_diagonal = ((right - left) ** 2 + (bottom - top) ** 2) ** 0.5 / 2 * scale
        assert half_diagonal < 46, initials


@pytest.mark.parametrize(("wide", "narrow"), [("WM", "EF"), ("ЩШ", "ЕГ"), ("ЩЩ", "Щ"), ("WW", "IJ"), ("ŴŴ", "ÉÉ")])
def test_wide_letters_are_drawn_smaller(wide: str, narrow: str) -> None:
    assert fitting_font_size(wide) < fitting_font_size(narrow)


@pytest.mark.parametrize(
    ("name", "direction"),
    [("Jane Doe", "ltr"), ("محمد علي", "rtl"), ("דוד כהן", "rtl"), ("王小明", "ltr"), ("🔥", "ltr")],
)
def test_the_text_runs_in_the_direction_of_its_script(name: str, direction: str) -> None:
    text = ET.fromstring(draw_initials(talent_id="t", name=name)).find(f"{SVG}text")  # noqa: S314

    assert text is not None
    assert (text.get("direction"), text.get("unicode-bidi")) == (direction, "isolate")


def test_a_screen_reader_hears_the_whole_name() -> None:
    root = ET.fromstring(draw_initials(talent_id="t", name='Jane "JD" <Doe> & Co'))  # noqa: S314

    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Jane "JD" <Doe> & Co'
    assert root.findtext(f"{SVG}title") == 'Jane "JD" <Doe> & Co'


@pytest.mark.parametrize("name", ["", "   ", "\u200b", "!?"])
def test_a_name_without_anything_to_show_is_drawn_as_a_silhouette(name: str) -> None:
    svg = draw_initials(talent_id="t", name=name)
    root = ET.fromstring(svg)  # noqa: S314

    assert text_of(svg) is None
    assert root.find(f"{SVG}g/{SVG}circle") is not None
    assert root.get("aria-label")


def test_the_drawing_has_the_size_that_was_asked_for() -> None:
    root = ET.fromstring(draw_initials(talent_id="t", name="Jane", size=64))  # noqa: S314

    assert (root.get("width"), root.get("height")) == ("64", "64")
    with pytest.raises(ValueError, match="0 px"):
        draw_initials(talent_id="t", name="Jane", size=0)
