"""What the world hands in: Sentinel-2 acquisitions, crop declarations, NUTS regions. Everything is either accepted,
or set aside with a reason that is counted; nothing here reads pixels."""
