"""Which network is faster: times measured by turns, and the seconds of training beside them."""
