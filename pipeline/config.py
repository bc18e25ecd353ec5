"""The one config of a run: every stage's parameters, which change results, and the resources, which do not (rule 7)."""

from collections.abc import Sequence

from pydantic import Field

from pipeline.params import Params
from pipeline.resources import Resources
from pipeline.settings import read_settings
from pipeline.stages.cluster import ClusterParams
from pipeline.stages.fingerprint import FingerprintParams
from pipeline.stages.ingest import IngestParams
from pipeline.stages.link import LinkParams
from pipeline.stages.neighbors import NeighborsParams
from pipeline.stages.projection import ProjectionParams


class Config(Params):
    """Everything that can be set; a stage receives its own section only."""

    clustering: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Name of the clustering; its tables lie in WORKSPACE/clusterings/<name>.",
    )
    ingest: IngestParams = Field(default_factory=IngestParams, description="Reading, dating and shrinking the images.")
    fingerprint: FingerprintParams = Field(default_factory=FingerprintParams, description="An image's vector.")
    projection: ProjectionParams = Field(
        default_factory=ProjectionParams, description="From fingerprints to the vectors that are compared."
    )
    neighbors: NeighborsParams = Field(default_factory=NeighborsParams, description="A date's kNN graph.")
    cluster: ClusterParams = Field(default_factory=ClusterParams, description="Clustering a date.")
    link: LinkParams = Field(default_factory=LinkParams, description="Linking clusters from date to date.")
    resources: Resources = Field(
        default_factory=Resources, description="What a run may use; nothing here changes a result."
    )


def load_config(file: str | None, overrides: Sequence[str] = ()) -> Config:
    """The config from its defaults, a YAML file and ``section.key=value`` overrides, the later over the earlier.

    Raises:
        UserError: names every key that is wrong, what was found, what was expected and where it was given.
    """
    return read_settings(Config, file, overrides)
