"""The page as PDF: the same document, laid out on A4 by WeasyPrint, which needs the Pango library of the system."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Final

from cropmap.errors import ConfigurationError

PANGO: Final = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
"""Debian packages"""


def to_pdf(html: str) -> bytes:
    """The PDF of an HTML document; nothing is fetched. Raises ConfigurationError where Pango is missing."""
    weasyprint = import_weasyprint()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"], allow_redirects=False)
    document = weasyprint.HTML(string=html, url_fetcher=fetcher, media_type="print")
    return bytes(document.write_pdf())


def import_weasyprint() -> ModuleType:
    """Raises ConfigurationError where Pango is missing. Without HarfBuzz-Subset, which Debian's Pango does not bring
    along, WeasyPrint cuts fonts by fontTools, and what it says about its next versions is no matter of the report."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="HarfBuzz-Subset", category=DeprecationWarning)
            import weasyprint
            import weasyprint.urls
    except OSError as error:
        raise ConfigurationError(
            "a PDF needs Pango, which is not installed", where="--format pdf", mend=f"On Debian: apt install {PANGO}"
        ) from error
    module: ModuleType = weasyprint
    return module
