"""`python -m cropmap`: the same program, where its script is not on the path."""

from __future__ import annotations

from cropmap.cli import main

if __name__ == "__main__":
    main()
