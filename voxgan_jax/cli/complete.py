"""`voxgan complete`: the way from files to results."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxgan_jax.cli import options, result
from voxgan_jax.version import VERSION

if TYPE_CHECKING:
    from voxgan_jax.report.record import Report


def add_complete(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    what = "complete sherds: scans or voxels in, pots out"
    parser = subparsers.add_parser("complete", help=what)
    options.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Complete what is named; 1 where a file could not be."""
    # JAX takes a second to import, too long for --help.
    from voxgan_jax.restore import files
    from voxgan_jax.scan import formats, worker

    names = files.collect(args.files)
    if any(map(formats.is_mesh, names)):
        worker.start()
    from tqdm import tqdm

    from voxgan_jax.devices import accelerator
    from voxgan_jax.files import readable
    from voxgan_jax.inference import completer
    from voxgan_jax.report import overview
    from voxgan_jax.restore import batch, pool

    silent = args.quiet or args.json
    if len(names) == 1 and not silent:
        _tell("loading the model …")
    accelerator.prepare()
    model = completer.load(
        weights_file=args.weights,
        workdir=args.workdir,
        dtype=args.dtype,
        average=args.average,
        num_hypotheses=args.hypotheses,
    )
    model = model._replace(pool=model.pool if args.pool is None else args.pool)
    about = {"version": VERSION, "model": model.about, "options": files.asked(options.asked(args))}
    before = {} if args.again else files.finished(names, args.out, about)
    todo = [path for path in names if path not in before]
    if before and not silent:
        print(_told_before(args, list(before.values())))
    wanted = len(names) > 1 and {"html", "json"} & set(args.formats)
    show = not silent and len(todo) > 1
    with (
        pool.side_by_side(pool.sensible_workers(len(todo))) as each,
        overview.Overview(args.out if wanted else None, len(names), before.values()) as all_of_them,
        tqdm(total=len(todo), unit="sherd", disable=None if show else True) as progress,
    ):
        results = batch.complete_files(
            model,
            todo,
            args.out,
            facts=options.facts(args),
            ids=args.fragment or (),
            fixed_fragment=args.fixed_fragment,
            formats=args.formats,
            clearance_mm=args.clearance_mm,
            names=names,
            about=about,
            each=each,
            tell=None if silent or len(todo) > 1 else _tell,
            threshold=args.threshold,
            whole_cube=args.whole_cube,
        )
        for path, made in zip(todo, results, strict=True):
            progress.update()
            if isinstance(made, Exception):
                all_of_them.fail(overview.Failure(names[path], str(path), str(made)))
                tqdm.write(readable(f"voxgan: {made}"), file=sys.stderr)
                continue
            all_of_them.add(made.written.report)
            if not args.quiet:
                said = result.as_json(made) if args.json else result.in_words(made)
                tqdm.write(readable(said))
    failed = len(all_of_them.failed)
    if wanted and not silent:
        faults = f", {'one file' if failed == 1 else f'{failed} files'} failed" if failed else ""
        print(f"{args.out / overview.INDEX}: {len(all_of_them.done)} pots{faults}")
    return int(failed > 0)


def _tell(text: str) -> None:
    """Say what is being done to who sits at a terminal: one sherd has no bar of progress."""
    from voxgan_jax.files import readable

    if sys.stderr.isatty():
        print(readable(text), file=sys.stderr, flush=True)


def _told_before(args: argparse.Namespace, reports: "Sequence[Report]") -> str:
    if len(reports) > 1:
        return f"{len(reports)} completed before, as they would be now (see --again)"
    page = any(name.endswith(".html") for name in reports[0].files or ())
    file = args.out / f"{reports[0].name}.{'html' if page else 'json'}"
    return f"{file}: completed before, as it would be now (see --again)"
