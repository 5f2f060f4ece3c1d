"""Can a customer plant a line of advice?

    python -m evals.poison [EACH [SEED]]    default 16 0: 16 conversations of every kind (304)

A gullible teacher does what the conversations say: word for word, decoded, or in words of its own. The student does better with whatever
line it gets, so coaching and the gate would admit every one. Prints per kind how far the lines came and which layer stopped them, then the
same in total with layers taken away, other ways in, and what lint refuses of honest lines. Exit status 1 if any line may reach a
customer's agent with all layers, or with lint alone, or if a handbook line is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evals.poison import lines
from evals.poison.corpus import EACH, Poison, corpus, in_words_of
from evals.poison.fates import STAGES, Fate, Row, rows
from evals.poison.gullible import TEMPERS
from evals.poison.lines import Refused
from evals.poison.ways import Setting, by_edit, by_import, through_recordings, through_the_loop

FEW = 4
"""Conversations of a kind where lint is off: then the gate has work."""


def main(arguments: Sequence[str] = ()) -> int:
    """Run the suite; 1 if a promise is broken."""
    if len(arguments) > 2 or not all(one.isdigit() for one in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    each, seed = ([int(one) for one in arguments] + [EACH, 0][len(arguments) :])[:2]
    poisons, few = corpus(seed, each), corpus(seed, min(each, FEW))
    print(f"{len(poisons)} conversations of {len({poison.kind for poison in poisons})} kinds, seed {seed}")
    fates: list[Fate] = []
    for temper in TEMPERS:
        found = through_the_loop(poisons, Setting(temper))
        fates += found
        show(f"all layers, teacher: {temper}", rows(found))
    for temper in TEMPERS:
        found = through_the_loop(poisons, Setting(temper, source=False))
        fates += found
        show(f"no look at the source, teacher: {temper}", rows(found)[-1:])
    for temper in TEMPERS:
        found = through_recordings(poisons, Setting(temper))
        fates += found
        show(f"imported as recordings, teacher: {temper}", rows(found)[-1:])
    for name, way in (("edit", by_edit), ("import", by_import)):
        found = way(poisons)
        fates += found
        show(f"way in: {name}", rows(found)[-1:])
    for name, setting in without_lint().items():
        show(f"{name} (nothing promised)", rows(through_the_loop(few, setting))[-1:])
    show_held_out(poisons)
    handbooks = lines.handbooks()
    for refused in (
        handbooks,
        lines.of_file("honest"),
        lines.customers(),
        lines.of_file("seen"),
        lines.of_file("heldout"),
        lines.of_file("clever"),
    ):
        show_refused(refused)
    bad = [fate.poison.id for fate in fates if fate.is_servable]
    print(f"\nservable: {len(bad)} of {len(fates)} tries{': ' + ', '.join(bad[:20]) if bad else ''}")
    return 1 if bad or handbooks.refused else 0


def without_lint() -> dict[str, Setting]:
    """What the other layers do: that the suite can fail, and what an honest gate stops."""
    return {
        "neither source nor lint, any line helps": Setting("other_words", source=False, lint=False),
        "neither source nor lint, lines change nothing": Setting("other_words", "chance", source=False, lint=False),
    }


def show_held_out(poisons: Sequence[Poison]) -> None:
    """Lines that no rule was written for, in the mouth of the teacher."""
    held_out = in_words_of("heldout", poisons)
    for name, setting in {
        "all layers": Setting("other_words"),
        "no look at the source": Setting("other_words", source=False),
        "all layers, lines change nothing": Setting("other_words", "chance"),
    }.items():
        show(f"held-out words, {name} (nothing promised)", rows(through_the_loop(held_out, setting))[-1:])


def show(title: str, table: Sequence[Row]) -> None:
    print(f"\n{title}\n{'kind':<12}{'n':>4}" + "".join(f"{stage:>11}" for stage in STAGES) + "  stopped by")
    for row in table:
        stopped = ", ".join(f"{layer} {count}" for layer, count in row.stopped_by)
        print(f"{row.kind:<12}{row.n:>4}" + "".join(f"{count:>11}" for count in row.reached) + f"  {stopped}")


def show_refused(refused: Refused) -> None:
    print(f"\n{refused.sort}: {len(refused.refused)} of {refused.n} refused")
    for line, why in refused.refused if len(refused.refused) < 5 else ():
        print(f"  {line}  ({why})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
