"""What a machine may lack: nothing but Python is needed to run the other tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.errors import ConfigurationError
from cropmap.reports.pdf import import_weasyprint

CHROMIUM = Path("/usr/bin/chromium")


def _has_pango() -> bool:
    try:
        import_weasyprint()
    except ConfigurationError:
        return False
    return True


needs_pango = pytest.mark.skipif(not _has_pango(), reason="no Pango: apt install libpango-1.0-0 libpangoft2-1.0-0")
needs_chromium = pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"no browser: apt install chromium ({CHROMIUM})")
