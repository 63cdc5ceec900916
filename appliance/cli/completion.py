"""`appliance completion bash|zsh|fish`: what a shell sources to complete our commands."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script: source <(appliance completion bash)."""
    from appliance.cli import appliance

    kind = get_completion_class(shell)
    assert kind is not None, "the choices are those that click knows"
    # bash's version check runs bash itself, which a host need not have when this prints the script for another.
    script = kind(appliance, {}, "appliance", "_APPLIANCE_COMPLETE")
    click.echo(script.source_template % script.source_vars())
