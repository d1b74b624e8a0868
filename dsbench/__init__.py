"""dsbench: when is a depthwise-separable convolution lighter, faster and better than a conventional one?"""

__version__ = "0.1.0"
