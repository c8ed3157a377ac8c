"""The page as PDF: the same document, laid out on A4 by WeasyPrint, which needs the Pango library of the system."""

from __future__ import annotations

from typing import Final

from cropmap.errors import ConfigurationError

PANGO: Final = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
"""Debian packages"""


def to_pdf(html: str) -> bytes:
    """Raises ConfigurationError where Pango is missing; nothing is ever fetched."""
    try:
        import weasyprint
        from weasyprint.urls import URLFetcher
    except OSError as error:
        raise ConfigurationError(
            "a PDF needs Pango, which is not installed", where="--format pdf",
            mend=f"On Debian: apt install {PANGO}",
        ) from error  # fmt: skip
    fetcher = URLFetcher(allowed_protocols=["data"], allow_redirects=False)
    document = weasyprint.HTML(string=html, url_fetcher=fetcher, media_type="print")
    return bytes(document.write_pdf())
