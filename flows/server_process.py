"""The process of `flows.server`: Prefect's API until whoever started it is gone."""

from __future__ import annotations

import os
import sys
import threading


def _end_with_starter() -> None:
    """The pipe to the starter closes when it ends, by whatever: nobody else has its other end."""
    while os.read(sys.stdin.fileno(), 1):  # the buffer's lock, held here, would break an exit by an error
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    os.environ.update(PREFECT_UI_ENABLED="0", PREFECT__SERVER_EPHEMERAL="1", PREFECT__SERVER_FINAL="1")
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host=sys.argv[1],
        port=int(sys.argv[2]),
        log_level="error",
        lifespan="on",
    )
