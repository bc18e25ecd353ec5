"""A sample collection with its truth: prints on an open-air wall, photographed on twelve dates while they weather.

The photographs ship inside scikit-image and scikit-learn, so that nothing is downloaded.  What happens to whom is
the script in :mod:`pipeline.sample.world`; :func:`write_sample` plays it.
"""

from pipeline.sample.write import SampleReport, write_sample

__all__ = ["SampleReport", "write_sample"]
