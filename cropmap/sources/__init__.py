"""The inputs of a season: Sentinel-2 acquisitions, crop declarations, NUTS regions. Everything is either accepted,
or set aside with a reason that is counted; nothing here reads pixels."""
