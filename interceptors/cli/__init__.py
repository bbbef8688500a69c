"""The `interceptors` command.

What belongs here: one module a verb, which takes the arguments, calls the room that does the work, and
prints. What does not: any logic of its own, and anything that prints key material.

Exit status: 0 for done, 1 for an answer that is a no (an envelope that does not open, a check that failed),
2 for wrong use or a file that can't be used.
"""

import importlib.metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from interceptors.cli import audit, keys, policy, policy_signing, tokens
from interceptors.cli.catalog import catalog
from interceptors.cli.check import check
from interceptors.cli.demo import demo
from interceptors.cli.doctor import doctor
from interceptors.cli.eval_ import eval_
from interceptors.cli.init import init
from interceptors.cli.open_ import open_
from interceptors.cli.scan import scan
from interceptors.errors import InterceptorError

__all__ = ["app", "main"]


class _Verbs(TyperGroup):
    """Turns what the library raises into one line and an exit status."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - click's context: where typer keeps click is its affair
        try:
            return super().invoke(ctx)
        except InterceptorError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they can show local variables, and one of those may be a key
)
app.command()(init)
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(tokens.app, name="tokens")
policy_signing.register(policy.app)
app.add_typer(policy.app, name="policy")
app.command()(doctor)
app.command("open")(open_)
app.command()(demo)
app.command()(scan)
app.command("eval")(eval_)
app.command()(check)
app.command()(catalog)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"interceptors {importlib.metadata.version('interceptors')}")
        raise typer.Exit


@app.callback()
def _interceptors(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Sealed, privacy-preserving tracing for message buses."""


def main() -> None:
    """Run the command."""
    app(prog_name="interceptors")
