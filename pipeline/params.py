"""The base of every parameter model: frozen, and strict about unknown keys."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Parameters of one stage.

    Everything in a subclass changes results and is part of the stage's digest (DESIGN.md rule 7); what does not
    change results (workers, batch sizes, GPUs) belongs to ``resources`` instead.  Each field has a ``description``:
    ``imagetracks config`` prints it as the comment over the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def read_by(self, stage: str) -> frozenset[str]:
        """The keys whose values change what ``stage`` writes: those are in its digest.  Here all of them."""
        del stage
        return frozenset(type(self).model_fields)
