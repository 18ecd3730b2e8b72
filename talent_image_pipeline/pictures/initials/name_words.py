"""A person's name as people type it, reduced to the words that initials are taken from.

What belongs here: cleaning a name and leaving out what is not part of it: titles, nicknames, brackets.
What does not: choosing and drawing letters (``drawing.py``).
"""

import unicodedata

import regex

# Nobody's name is longer; what is bounded cannot be made slow.
_LONGEST_NAME = 1000
_FIRST_AND_LAST = 2

# What XML 1.0 has no place for, and what is invisible or turns the direction of the text around it. The zero-width
# joiners stay: they hold emoji and Indic letters together.
_FORBIDDEN = regex.compile(r"[\p{Cc}\p{Cs}\p{Cn}\p{Co}\p{Z}]+")
_INVISIBLE = regex.compile(r"[\u00AD\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF]+")
_STYLED_LETTER = regex.compile(r"(?V1)[\p{Script=Common}&&[\p{L}\p{So}]--\p{Extended_Pictographic}]")
_LETTER_OR_DIGIT = regex.compile(r"(?V1)[[\p{L}\p{N}]--[\p{Lm}\p{Default_Ignorable_Code_Point}]]")
_ASIDE = regex.compile(
    r"""\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>|\uFF08[^\uFF08\uFF09]*\uFF09|【[^【】]*】|「[^「」]*」|『[^『』]*』"""
    r"""|"[^"]*"|“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»|\u2018[^\u2018\u2019]*\u2019(?!\w)|(?<!\S)'[^']*'(?!\S)"""
)
_BETWEEN_WORDS = regex.compile(r"[\s_,;/|\\]+")
_AROUND_A_TITLE = ".'\"-\N{RIGHT SINGLE QUOTATION MARK}\N{HEBREW PUNCTUATION GERESH}\N{HEBREW PUNCTUATION GERSHAYIM}"

_TITLES = frozenset(
    {
        *("dr", "drs", "mr", "mrs", "ms", "miss", "mx", "mister", "missus", "prof", "professor", "doctor", "reverend"),
        *("mme", "mlle", "monsieur", "madame", "mademoiselle", "herr", "frau", "señor", "señora", "señorita", "srta"),
        *("dra", "dott", "dottssa", "signor", "signora", "meneer", "mevrouw", "dipl-ing"),
        *("г-н", "г-жа", "господин", "госпожа", "проф", "профессор", "др", "д-р", "доктор"),  # noqa: RUF001 - Cyrillic
        *("κ", "κα", "κος", "δρ", "καθ"),
        *("د", "دكتور", "دكتورة", "الدكتور", "الدكتورة", "أستاذ", "الأستاذ", "الأستاذة", "السيد", "السيدة", "المهندس"),
        *("دکتر", "آقای", "خانم", "جناب"),
        *("מר", "גב", "גברת", 'ד"ר', "ד״ר", "דר", "פרופ", "פרופסור"),
        *("श्री", "श्रीमती", "सुश्री", "डॉ", "डॉक्टर", "कुमारी", "प्रो", "শ্রী", "শ্রীমতী", "ডা", "ড", "திரு", "திருமதி", "டாக்டர்"),
        *("ดร", "นาย", "นาง", "นางสาว", "คุณ"),
    }
)
# Without their dot these are given names or words as well.
_TITLES_WITH_A_DOT = frozenset(
    {"rev.", "fr.", "hon.", "capt.", "sgt.", "lt.", "col.", "gen.", "sr.", "sra.", "ing.", "mag.", "sig."}
)
# Also parts of stage names, so they go only where a first and a last name remain.
_NOBLE_TITLES = frozenset({"sir", "dame", "lady", "lord"})
_SUFFIXES = frozenset(
    {"jr", "jnr", "sr", "snr", "ii", "iii", "iv", "phd", "md", "dds", "esq", "mba", "obe", "mbe", "cbe"}
)


def clean_name(name: str) -> str:
    """Return a name in NFC without control characters, lone surrogates and invisible or direction-turning characters.

    White space is one blank between words and none at the ends.
    """
    visible = _INVISIBLE.sub("", name[:_LONGEST_NAME])
    return _FORBIDDEN.sub(" ", unicodedata.normalize("NFC", visible)).strip()


def split_name(name: str) -> list[str]:
    """Return the words of a cleaned name that have a letter or a digit, without titles, nicknames and brackets.

    Letters in a mathematical or circled style, common in social networks' names, become plain ones.

    Args:
        name: From :func:`clean_name`.

    Returns:
        The words in their order; a name that is nothing but asides or titles keeps them. Empty when there is no letter.
    """
    plain = _STYLED_LETTER.sub(lambda match: unicodedata.normalize("NFKC", match[0]), name)
    words = _words(_ASIDE.sub(" ", plain)) or _words(plain)
    return _without_suffixes(_without_titles(words))


def has_letter_or_digit(text: str) -> bool:
    """Whether anything in the text can be an initial: a letter or a digit, and not one that is invisible."""
    return _LETTER_OR_DIGIT.search(text) is not None


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(text) if has_letter_or_digit(word)]


def _without_titles(words: list[str]) -> list[str]:
    while len(words) > 1 and _is_title(words[0], words_after=len(words) - 1):
        words = words[1:]
    return words


def _is_title(word: str, *, words_after: int) -> bool:
    bare = _bare(word)
    is_title = bare in _TITLES or word.lower() in _TITLES_WITH_A_DOT
    return is_title or (bare in _NOBLE_TITLES and words_after > 1)


def _without_suffixes(words: list[str]) -> list[str]:
    while len(words) > _FIRST_AND_LAST and _bare(words[-1]) in _SUFFIXES:
        words = words[:-1]
    return words


def _bare(word: str) -> str:
    return word.strip(_AROUND_A_TITLE).replace(".", "").lower()
