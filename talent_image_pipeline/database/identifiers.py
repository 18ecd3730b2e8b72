"""Names in SQL text that SQLAlchemy does not write for us.

What belongs here: quoting them. What does not: statements.
"""


def quoted(name: str) -> str:
    """Return a name as an SQL identifier, whatever is in it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
