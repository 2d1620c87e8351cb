"""A board for others: test scans whose labels stay with the host, and results that are sent in."""
