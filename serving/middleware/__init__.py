"""What holds for every request and every answer, whatever the route: ASGI middleware, added in `serving.app`."""
