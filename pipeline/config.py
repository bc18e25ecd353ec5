"""The one config of a run: every stage's parameters, which change results, and the resources, which do not (rule 7)."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, Field

from pipeline.params import Params
from pipeline.resources import Resources
from pipeline.settings import read_settings
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.constraints import VerdictsParams
from pipeline.stages.fingerprint import FingerprintParams
from pipeline.stages.geometry import GeometryParams
from pipeline.stages.ingest_params import IngestParams
from pipeline.stages.link import LinkParams
from pipeline.stages.looks import LooksParams
from pipeline.stages.map import MapParams
from pipeline.stages.naming import NamingParams
from pipeline.stages.neighbors import NeighborsParams
from pipeline.stages.projection import ProjectionParams
from pipeline.storage import refuse_keys

Section = TypeVar("Section", bound=BaseModel)


def _section(model: type[Section], description: str) -> Section:
    """A field that holds a section; pydantic's own annotations say of a field what it makes of it, a value."""
    return Field(default_factory=model, description=description)


class Config(Params):
    """Everything that can be set; a stage receives its own section only."""

    clustering: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Name of the clustering; its tables lie in WORKSPACE/clusterings/<name>.",
    )
    ingest: IngestParams = _section(IngestParams, "Reading, dating and shrinking the images.")
    fingerprint: FingerprintParams = _section(FingerprintParams, "An image's vector.")
    projection: ProjectionParams = _section(ProjectionParams, "From fingerprints to the vectors that are compared.")
    geometry: GeometryParams = _section(GeometryParams, "What counts as near beside the content, on one date.")
    neighbors: NeighborsParams = _section(NeighborsParams, "A date's kNN graph.")
    cluster: ClusterParams = _section(ClusterParams, "Clustering a date.")
    map: MapParams = _section(MapParams, "Two-dimensional maps to look at.")
    link: LinkParams = _section(LinkParams, "Linking clusters from date to date.")
    looks: LooksParams = _section(LooksParams, "How a track's look changes.")
    verdicts: VerdictsParams = _section(VerdictsParams, "What people say of images.")
    naming: NamingParams = _section(NamingParams, "Published ids.")
    resources: Resources = _section(Resources, "What a run may use; nothing here changes a result.")


def load_config(file: str | None, overrides: Sequence[str] = ()) -> Config:
    """The config from its defaults, a YAML file and ``section.key=value`` overrides, the later over the earlier.

    Raises:
        UserError: names the first keys that are wrong, what was found, what was expected and where it was given.
    """
    config = read_settings(Config, file, overrides)
    for extractor in (*config.fingerprint.names, *config.fingerprint.also):
        refuse_keys(config.fingerprint.weights_of(extractor) or "")
    return config
