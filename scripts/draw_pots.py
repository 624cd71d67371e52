#!/usr/bin/env python3
"""Write 60 broken pots of 20 named forms, drawn apart from all that models are trained on.

    scripts/draw_pots.py --out DIR
    scripts/evaluate.py --data_dir DIR --split test --out runs/named
    scripts/draw_pots.py --prior docs/figures/prior.png   the first 100 of pottery.world

A test of how well a model travels: amphorae, kylix, tea bowl, albarello and more, three of each, in
4 to 14 fragments; see scripts/lib/named_forms.py.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import numpy as np

from scripts.lib import command, named_forms, outline_sheet
from voxgan_jax.cli import commands
from voxgan_jax.files import readable
from voxgan_jax.pottery import world


def main(argv: list[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--out", type=pathlib.Path, help="the folder to write")
    parser.add_argument("--sheet", type=pathlib.Path, help="draw them to this .png, too")
    parser.add_argument("--prior", type=pathlib.Path, help="draw pots of the prior to this .png")
    parser.add_argument("--seed", type=command.natural, default=0)
    parser.add_argument("--each", type=command.positive, default=3, help="drawings of each form")
    args = parser.parse_args(argv)
    if not (args.out or args.sheet or args.prior):
        parser.error("give --out, --sheet or --prior")

    def work() -> None:
        if args.out:
            paths = named_forms.write(args.out, seed=args.seed, each=args.each)
            print(f"{readable(args.out)}: {len(paths)} pots of {len(named_forms.FORMS)} forms")
        if args.sheet:
            drawn = list(named_forms.drawings(args.seed, args.each))
            outline_sheet.draw([outline for _, outline, _ in drawn], named_forms.SIDE, args.sheet)
        if args.prior:
            pots = [world.draw(np.random.default_rng([args.seed, k])) for k in range(100)]
            outline_sheet.draw([pot.outline for pot in pots], world.SIDE, args.prior)

    return commands.exit_code("draw_pots.py", work)


if __name__ == "__main__":
    leave(main())
