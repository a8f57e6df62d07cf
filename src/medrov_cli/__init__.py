"""MedROV: open-vocabulary detection in medical images, from the command line.

For research use only; not a medical device.
"""

from medrov_cli.core.base.versions import __version__ as __version__
