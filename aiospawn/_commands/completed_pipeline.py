"""What came of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .failures import CalledProcessError
from .pipeline_stages import failed_stage
from .results import CompletedProcess  # noqa: TC001 - typing.get_type_hints(CompletedPipeline) looks for it here

__all__ = ["CompletedPipeline"]

_AnyOutput = TypeVar("_AnyOutput", str, bytes)


@dataclass(frozen=True, slots=True)
class CompletedPipeline(Generic[_AnyOutput]):
    """What came of a pipeline: `stages` has a CompletedProcess for each command, with its own return code and stderr."""

    stages: tuple[CompletedProcess[_AnyOutput], ...]

    @property
    def args(self) -> list[Any]:
        """The commands."""
        return [stage.args for stage in self.stages]

    @property
    def failed(self) -> CompletedProcess[_AnyOutput] | None:
        """The last stage that failed, as a shell's `pipefail` counts; None if none did.

        But a stage before the last that SIGPIPE ended is no failure: whoever reads it had enough (`yes | head -n 1`).
        """
        at = failed_stage([stage.returncode for stage in self.stages])
        return None if at is None else self.stages[at]

    @property
    def returncode(self) -> int:
        """That of the stage that failed, or 0."""
        return 0 if self.failed is None else self.failed.returncode

    @property
    def stdout(self) -> _AnyOutput:
        """Of the last stage; None unless it was captured."""
        return self.stages[-1].stdout

    @property
    def stderr(self) -> _AnyOutput:
        """Of all stages, one behind the other; None unless it was captured."""
        parts: Any = [stage.stderr for stage in self.stages if stage.stderr is not None]
        return parts[0][:0].join(parts) if parts else None  # type: ignore[return-value] # as CompletedProcess has it

    @property
    def elapsed(self) -> float:
        """Of the stage that took longest, in seconds."""
        return max(stage.elapsed for stage in self.stages)

    def check_returncode(self) -> None:
        """Raises subprocess.CalledProcessError for the stage that failed."""
        if self.failed is not None:
            raise CalledProcessError(self.failed.returncode, self.failed.args, self.stdout, self.failed.stderr)
