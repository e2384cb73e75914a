"""`python -m reports`: compare two records, or show one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from reports.compare import Comparison
    from reports.verdict import Verdict

FAILED = 2
WIDTH = 110  # columns where nobody says how many there are


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m reports", description="Compare or show records of runs."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="say what changed between two records",
        description="Exit status: 0 nothing failed, 1 a failing verdict, 2 nothing was compared.",
    )
    record = "a record's directory, its name below reports/runs, or a version of transformers"
    compare.add_argument("base", metavar="BASE", help=record)
    compare.add_argument("new", metavar="NEW", help="likewise")
    for name, text in (
        ("markdown", "write a summary for a pull request or CI job"),
        ("html", "write a page with everything"),
        ("json", "write every difference (reports/schema/comparison.json)"),
        ("junit", "write JUnit XML"),
    ):
        compare.add_argument(f"--{name}", metavar="FILE", type=Path, help=text)
    compare.add_argument(
        "--fail-on",
        metavar="VERDICT,...",
        default="CHANGED,VANISHED,BROKE",
        help="verdicts that give exit status 1, instead of %(default)s",
    )
    compare.add_argument(
        "--allow", metavar="VERDICT,...", default="", help="verdicts that do not, after all"
    )
    show = commands.add_parser("show", help="say what a record holds")
    show.add_argument("record", metavar="RECORD", help=record)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status; an unreadable record or explanation is one line on stderr."""
    top = parser()
    options = top.parse_args(arguments)
    from reports.explanations import ExplanationError
    from reports.record import RecordError

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return run_show(options) if options.command == "show" else run_compare(options, top)
    except (RecordError, ExplanationError, OSError) as error:
        print(f"reports: {error}", file=sys.stderr)
        return FAILED


def console() -> Console:
    """The terminal; a file or a pipe gets lines that code fits into."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH)


def run_show(options: argparse.Namespace) -> int:
    """`show RECORD`."""
    from reports.record import locate, read
    from reports.render_terminal import show_record

    show_record(read(locate(options.record)), console())
    return 0


def run_compare(options: argparse.Namespace, top: argparse.ArgumentParser) -> int:
    """`compare BASE NEW`."""
    from reports import render_terminal
    from reports.compare import compare
    from reports.explanations import load
    from reports.record import locate, read
    from reports.verdict import Verdict

    given = {option: getattr(options, option).split(",") for option in ("fail_on", "allow")}
    for names in given.values():
        if unknown := {name for name in names if name} - set(Verdict):
            top.error(
                f"no such verdict: {', '.join(sorted(unknown))}; choose from {', '.join(Verdict)}"
            )
    failing = {Verdict(name) for name in given["fail_on"] if name and name not in given["allow"]}
    comparison = compare(read(locate(options.base)), read(locate(options.new)), load())
    status = comparison.exit_code(failing)
    render_terminal.show(comparison, console())
    write_files(comparison, options, failing)
    if status == FAILED:
        print(
            "reports: nothing could be compared: the records share no comparable observation",
            file=sys.stderr,
        )
    return status


def write_files(comparison: Comparison, options: argparse.Namespace, failing: set[Verdict]) -> None:
    """The files asked for; raises OSError when one cannot be written."""
    if options.markdown:
        from reports.render_markdown import markdown

        options.markdown.write_text(markdown(comparison), encoding="utf-8")
    if options.html:
        from reports.render_html import html

        options.html.write_text(html(comparison), encoding="utf-8")
    if options.json:
        from reports.render_json import to_json

        options.json.write_text(to_json(comparison, failing), encoding="utf-8")
    if options.junit:
        from reports.render_junit import junit

        options.junit.write_text(junit(comparison, failing), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
