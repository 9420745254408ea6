"""What came of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .failures import CalledProcessError
from .pipeline_stages import failed_stage
from .results import CompletedProcess  # noqa: TC001 - typing.get_type_hints(CompletedPipeline) looks for it here

__all__ = ["CompletedPipeline"]

_AnyOutput = TypeVar("_AnyOutput")  # str, bytes, or None where nothing is captured


@dataclass(frozen=True, slots=True)
class CompletedPipeline(Generic[_AnyOutput]):
    """The result of a pipeline.

    Attributes:
        stages: A `CompletedProcess` for each command, with its own return code, and its standard error if that was captured.
    """

    stages: tuple[CompletedProcess[_AnyOutput], ...]

    @property
    def args(self) -> list[Any]:
        """The commands."""
        return [stage.args for stage in self.stages]

    @property
    def failed(self) -> CompletedProcess[_AnyOutput] | None:
        """The last stage that failed, as bash counts with `pipefail`; None if none did.

        A stage before the last that SIGPIPE ended is no failure: its reader had enough (`yes | head -n 1`).
        """
        at = failed_stage([stage.returncode for stage in self.stages])
        return None if at is None else self.stages[at]

    @property
    def returncode(self) -> int:
        """The return code of the stage that failed, or 0."""
        return 0 if self.failed is None else self.failed.returncode

    @property
    def stdout(self) -> _AnyOutput:
        """The output of the last stage; None unless it was captured."""
        return self.stages[-1].stdout

    @property
    def stderr(self) -> _AnyOutput:
        """The standard error of all stages, each after the one before it; None unless it was captured."""
        parts: Any = [stage.stderr for stage in self.stages if stage.stderr is not None]
        return parts[0][:0].join(parts) if parts else None  # type: ignore[return-value] # as CompletedProcess has it

    @property
    def elapsed(self) -> float:
        """The seconds that the longest stage took."""
        return max(stage.elapsed for stage in self.stages)

    def check_returncode(self) -> None:
        """Raises subprocess.CalledProcessError for the stage that failed, if one did."""
        if self.failed is not None:
            raise CalledProcessError(self.failed.returncode, self.failed.args, self.stdout, self.failed.stderr)
