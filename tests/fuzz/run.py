"""Fuzz the readers of medrov: one line of figures per target, exit code 1 if an input broke the contract.

    python tests/fuzz/run.py --target dicom --seconds 3600 --seed 1

Inputs with faults are kept in WORK/found/TARGET. The same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1]))

from campaign import Child, run_campaign
from targets import TARGETS


def main() -> None:
    """Run the campaigns of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="repeatable; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="time for each target (default: 60)")
    parser.add_argument("--inputs", type=int, help="largest number of inputs for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/fuzz"), help="folder for faults and scratch")
    options = parser.parse_args()
    faults = 0
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    for name in options.target or TARGETS:
        with Child(work) as child:
            tally = run_campaign(
                TARGETS[name],
                child,
                seed=options.seed,
                work=work,
                seconds=options.seconds,
                inputs=options.inputs,
            )
        print(tally.as_json(), flush=True)
        faults += tally.faults
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
