"""Where the program starts: `cropmap`, and `python -m cropmap` where its script is not on the path."""

from __future__ import annotations

from cropmap import interruption


def main() -> None:
    """Console script. Watches for signals before anything else is imported: imports take seconds."""
    interruption.watch()
    from cropmap.cli import main as run

    run()


if __name__ == "__main__":
    main()
