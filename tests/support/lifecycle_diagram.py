"""The states of a process, drawn from their table: `python tests/support/lifecycle_diagram.py` prints it."""

from aiospawn._asyncio.lifecycle import TRANSITIONS, State

__all__ = ["LAST", "diagram"]

LAST = {State.FINISHED, State.FAILED}


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.LAUNCHING.name}"]
    for (state, happening), (target, calls) in TRANSITIONS.items():
        told = ", ".join(call.value for call in calls)
        lines.append(f"    {state.name} --> {target.name}: {happening.name}{told and ' / ' + told}")
    lines += [f"    {state.name} --> [*]" for state in State if state in LAST]
    return "\n".join(lines)


if __name__ == "__main__":
    print(diagram())
