"""Why a network is slow: each layer's measured time against what this device's arithmetic and memory allow."""
