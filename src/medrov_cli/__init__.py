"""MedROV: open-vocabulary detection in medical images, from the command line.

For research use only; not a medical device.
"""

__version__ = "0.1.0"
