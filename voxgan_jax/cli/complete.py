"""`voxgan complete`: the way from files to results."""

import argparse
import itertools
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from voxgan_jax.cli import options, result
from voxgan_jax.files import is_full, readable
from voxgan_jax.version import VERSION

if TYPE_CHECKING:
    from tqdm import tqdm

    from voxgan_jax.inference.completer import Completer
    from voxgan_jax.report.overview import Overview
    from voxgan_jax.report.record import Report


_LANES = 2
"""In a batch so many sherds are placed at once: half of that is NumPy's work, on one core."""


class _Run(NamedTuple):
    """What is at hand in all of a run; `tell` shows what is being done."""

    args: argparse.Namespace
    all_of_them: "Overview"
    progress: "tqdm[Any]"
    tell: Callable[[str], None]


def add_complete(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    what = "complete sherds: scans or voxels in, pots out"
    parser = subparsers.add_parser("complete", help=what)
    options.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Complete what is named; 1 where a file could not be."""
    from tqdm import tqdm

    several = len(args.files) > 1 or not pathlib.Path(args.files[0]).is_file()
    several = several and not args.one_pot
    silent = args.quiet or args.json
    # At once, as all else takes its time to import.
    with tqdm(unit="sherd", disable=None if several and not silent else True) as progress:

        def tell(text: str) -> None:
            if several:
                progress.set_postfix_str(readable(text))
            elif not silent and sys.stderr.isatty():
                print(readable(text), file=sys.stderr, flush=True)

        tell("loading the model …")
        return _run(args, progress, tell)


def _run(args: argparse.Namespace, progress: "tqdm[Any]", tell: Callable[[str], None]) -> int:
    from voxgan_jax.scan import worker

    if "dxf" in args.formats:
        from voxgan_jax.drawing import dxf

        dxf.require()
    # It takes a second to start, as long as all that is imported next.
    if worker.may_be_needed(args.files):
        worker.start()
    from voxgan_jax import ledger
    from voxgan_jax.report import overview
    from voxgan_jax.restore import files, naming

    wrong: dict[pathlib.Path, Exception] = {}
    names = files.collect(args.files, None if args.quiet or args.json else _warn, wrong)
    if not names:
        raise next(iter(wrong.values()))
    names = {path: naming.of_body(name, args.body) for path, name in names.items()}
    how = {"inputs": ledger.marks_of(names), "overwrite": args.overwrite}
    args.others = []
    if args.one_pot:
        names, args.others = _one_pot(args, names, wrong)
    shown = args.out if len(names) > 1 and {"html", "json"} & set(args.formats) else None
    all_of_them = overview.Overview(shown, len(names) + len(wrong), **how)
    try:
        code = _restore(_Run(args, all_of_them, progress, tell), names, wrong, **how)
    except OSError as error:
        if not is_full(error):
            raise
        done = f"{len(all_of_them.done)} of {len(names)} are done"
        again = "make room, and the same command goes on"
        raise OSError(f"{args.out}: the disk is full; {done}; {again}") from error
    progress.close()
    failed, count = len(all_of_them.failed), len(all_of_them.done)
    if all_of_them.out_dir and count and not (args.quiet or args.json):
        faults = f", {'one file' if failed == 1 else f'{failed} files'} failed" if failed else ""
        pots = "one pot" if count == 1 else f"{count} pots"
        print(f"{args.out / overview.INDEX}: {pots}{faults}")
    return code


def _one_pot(
    args: argparse.Namespace,
    names: Mapping[pathlib.Path, str],
    wrong: Mapping[pathlib.Path, Exception],
) -> tuple[dict[pathlib.Path, str], list[pathlib.Path]]:
    """The first of several sherds with the name of the results, and the others."""
    from voxgan_jax.restore import naming, request

    if wrong:
        raise next(iter(wrong.values()))
    told = options.facts(args) | {"fragment": args.fragment, "fixed_fragment": args.fixed_fragment}
    first, *others = names
    request.require_loose([first, *others], told)
    return {first: naming.of_one_pot(names[first])}, others


def _restore(
    run: _Run,
    names: Mapping[pathlib.Path, str],
    wrong: Mapping[pathlib.Path, Exception],
    **how: Any,
) -> int:
    """Restore these files; `wrong` says what is wrong with inputs that mean none."""
    from tqdm import tqdm

    from voxgan_jax.devices import accelerator
    from voxgan_jax.restore import arguments, files, naming

    args, all_of_them = run.args, run.all_of_them
    ids = sorted(set(args.fragment or ()))
    called = {path: naming.of_fragments(name, ids) for path, name in names.items()}
    # Which fragment evaluation gives is known only when the file is read.
    written = () if args.fixed_fragment else args.formats
    taken = files.taken(called, args.out, written, args.hypotheses, **how)
    unshown = all_of_them.refused()
    if unshown:
        _warn(f"{unshown}; the others are written, but no overview")
    for path, error in {**wrong, **taken}.items():
        _fail(run, names.get(path, str(path)), path, error)
    if len(taken) == len(names):
        return 1
    accelerator.keep_compiled()
    accelerator.prepare()
    from voxgan_jax.inference import completer

    model = completer.load(
        weights_file=args.weights,
        workdir=args.workdir,
        dtype=args.dtype,
        average=args.average,
        num_hypotheses=args.hypotheses,
    )
    model = model._replace(pool=model.pool if args.pool is None else args.pool)
    fineness = arguments.fineness(args.resolution, model.resolution * model.pool)
    told = options.asked(args) | {"one_pot": files.named(args.others)}
    about = {"version": VERSION, "model": model.about, "options": files.asked(told)}
    free = {path: name for path, name in names.items() if path not in taken}
    before = {} if args.again else files.finished(free, args.out, about)
    all_of_them.done += before.values()
    if before and not (args.quiet or args.json):
        tqdm.write(_told_before(args, list(before.values())))
    todo = {path: name for path, name in free.items() if path not in before}
    run.progress.reset(len(todo))
    with all_of_them:
        _complete(run, model, todo, about=about, fineness=fineness, **how)
    return int(bool(all_of_them.failed) or unshown is not None)


def _complete(
    run: _Run,
    model: "Completer",
    todo: Mapping[pathlib.Path, str],
    *,
    about: Mapping[str, Any],
    **how: Any,
) -> None:
    """Complete these files, and say of each what became of it."""
    from tqdm import tqdm

    from voxgan_jax.cli import checks
    from voxgan_jax.restore import batch, files, pool, request

    args, all_of_them = run.args, run.all_of_them
    free = checks.available_memory()
    needed = batch.bytes_of((model.resolution * model.pool,) * 3, how["fineness"])
    workers = pool.sensible_workers(len(todo), *([] if free is None else [free // needed]))
    silent, facts = args.quiet or args.json, options.facts(args)
    if todo:
        placed = args.one_pot or any(request.is_placed(path, facts) for path in todo)
        batch.compile_ahead(model, placed)
    left = dict(todo)
    try:
        with pool.side_by_side(workers, tell=None if silent else _warn) as each:
            for path, made in batch.complete_files(
                model,
                todo,
                args.out,
                facts=facts,
                others=args.others,
                ids=args.fragment or (),
                fixed_fragment=args.fixed_fragment,
                formats=args.formats,
                clearance_mm=args.clearance_mm,
                drawn={"scale": args.scale, "mirrored": args.mirrored, "lang": args.lang},
                names=todo,
                in_overview=all_of_them.out_dir is not None,
                memory=free,
                each=each,
                ahead=pool.in_threads(_LANES) if workers > 1 else pool.here,
                tell=run.tell,
                threshold=args.threshold,
                whole_cube=args.whole_cube,
                about=about,
                **how,
            ):
                name = left.pop(path)
                run.progress.update()
                if isinstance(made, Exception):
                    _fail(run, name, path, made)
                    continue
                all_of_them.add(made.written.report)
                if not args.quiet:
                    said = result.as_json(made) if args.json else result.in_words(made)
                    tqdm.write(said)
    except (KeyboardInterrupt, OSError):
        # Some may have been finished whose results have not come.
        most = pool.under_way(workers) + _LANES
        begun = dict(itertools.islice(left.items(), most))
        all_of_them.done += files.finished(begun, args.out, about).values()
        raise


def _fail(run: _Run, name: str, path: pathlib.Path, error: Exception) -> None:
    """Say, and keep for the overview, why a file could not be completed."""
    from voxgan_jax.report.overview import Failure

    run.all_of_them.fail(Failure(name, str(path), str(error)))
    _warn(str(error))
    if run.args.debug:
        print(*map(readable, getattr(error, "__notes__", ())), file=sys.stderr)


def _warn(text: str) -> None:
    """Say what is wrong, above the bar of progress if there is one."""
    from tqdm import tqdm

    tqdm.write(readable(f"voxgan: {text}"), file=sys.stderr)


def _told_before(args: argparse.Namespace, reports: "Sequence[Report]") -> str:
    if len(reports) > 1:
        return f"{len(reports)} completed before, as they would be now (see --again)"
    page = any(name.endswith(".html") for name in reports[0].files or ())
    file = args.out / f"{reports[0].name}.{'html' if page else 'json'}"
    return f"{readable(file)}: completed before, as it would be now (see --again)"
