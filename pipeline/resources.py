"""Resources: what a run may use and how it goes about it; nothing here changes a result or is in a digest (rule 7)."""

from pydantic import BaseModel, ConfigDict, Field


class Resources(BaseModel):
    """Settings that make a run faster, gentler or more patient, and leave its tables as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_cpus: int | None = Field(default=None, ge=1, description="CPUs to use; null for all that Ray sees.")
    num_gpus: int | None = Field(default=None, ge=0, description="GPUs to use; null for all that Ray sees.")
    gpus_per_date: int = Field(
        default=1,
        ge=1,
        description="GPUs that the task of one date is given, at most as many as a node has: FAISS shares its vectors "
        "out among them. More than 1 pays where one date is huge; else as many dates are done at once.",
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of one task of a whole date; null for its share of the CPUs."
    )
    rows_per_fragment: int = Field(
        default=256, ge=1, description="Images handed from one step of a map stage to the next."
    )
    part_bytes: int = Field(
        default=128 * 2**20, ge=2**16, description="Size of a part that regrouping aims at, in bytes."
    )
    fetch_concurrency: int = Field(default=16, ge=1, le=1024, description="Objects that one worker reads at a time.")
    retries: int = Field(
        default=3, ge=0, le=100, description="Times a read, or a task whose worker died, is tried again."
    )
    decode_seconds: float = Field(
        default=300,
        ge=1,
        le=86400,
        description="Seconds after which a process that decodes 32 images is taken to hang, and ended.",
    )
    lease_seconds: float = Field(
        default=120,
        ge=1,
        le=86400,
        description="After so long a run that was cut off from the workspace may be replaced by another.",
    )
    max_failed_fraction: float = Field(
        default=0.5, ge=0, le=1, description="A run stops when more of its images (of at least 20) fail for good."
    )
