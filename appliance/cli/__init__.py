"""The command line. One file per command; a command's file is imported only when that command runs.

`COMMANDS` is the whole table of contents: `appliance --help` and shell completion read it without importing
anything. A command module `appliance.cli.NAME` exposes one click command (or group) called `command`.
"""

import importlib
import sys
from typing import Any, NoReturn

import click

from appliance.errors import ApplianceError

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module, one line for --help)
    "up": ("up", "Make this host the first node of a new cluster"),
    "join": ("join", "Make this host a node of an existing cluster"),
    "run": ("run", "Keep this node's processes running, in the foreground"),
    "stop": ("stop", "Stop a service or an instance, or without one this node's own processes"),
    "down": ("down", "End everything of the appliance on this node; data stays"),
    "uninstall": ("uninstall", "Remove the appliance from this host"),
    "preflight": ("preflight", "Check whether this host can be a node"),
    "status": ("status", "Show the cluster and its nodes"),
    "version": ("version", "Print the version of this file"),
    "verify": ("verify", "Check every byte of a package against its manifest"),
    "apply": ("apply", "Make services what their files say"),
    "diff": ("diff", "Show what apply would change"),
    "convert": ("convert", "Print the service that Compose or Kubernetes files make"),
    "patch": ("patch", "Change single values of a service without its file"),
    "rollback": ("rollback", "Make an earlier revision of a service the current one"),
    "history": ("history", "List the revisions of a service"),
    "delete": ("delete", "Stop and forget a service"),
    "ps": ("ps", "List instances"),
    "events": ("events", "Show what happened in the cluster"),
    "top": ("top", "Show what nodes and instances use"),
    "logs": ("logs", "Print what an instance wrote"),
    "exec": ("exec", "Run a command inside an instance"),
    "restart": ("restart", "Restart a service or an instance where it is"),
    "start": ("start", "Start a service or an instance that was stopped"),
    "move": ("move", "Move an instance to another node"),
    "scale": ("scale", "Run so many replicas of a deploy"),
    "rollout": ("rollout", "Pause, resume and watch the change to a new revision"),
    "job": ("job", "List, run, retry and cancel jobs"),
    "why": ("why", "Explain the state of a service, an instance, a job or a node"),
    "node": ("node", "List, label and cordon nodes"),
    "time": ("time", "Say which time servers the cluster follows"),
    "net": ("net", "Check the overlay network between the nodes"),
    "set-address": ("set_address", "Say on a node which address its host has now"),
    "image": ("image", "Load, list and remove images"),
    "vip": ("vip", "Add, list and remove virtual addresses"),
    "secret": ("secret", "Set, list and remove the secrets of services"),
    "certificate": ("certificate", "List certificates, revoke stolen keys, replace the authorities"),
    "token": ("token", "Make, list and revoke join tokens"),
    "backup": ("backup", "Make, list, try out and restore backups"),
    "recover": ("recover", "Make this manager the only one, when most are lost for good"),
    "docs": ("docs", "Print the manual of this version"),
    "schema": ("schema", "Print the JSON Schema of service files, for editors"),
    "completion": ("completion", "Print the completion script for a shell"),
}

HIDDEN: dict[str, str] = {"role": "role"}
"""What `appliance run` starts; not for people."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = HIDDEN.get(cmd_name) or COMMANDS.get(cmd_name, ("",))[0]
        if not name:
            return None
        module = importlib.import_module(f"appliance.cli.{name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def appliance(**_: Any) -> None:
    """A private cloud in one file, for servers without internet."""


def main() -> NoReturn:
    """Run the command line; exits 0, 1 failure, 2 wrong usage, 3 refused, 4 a wait ran out."""
    try:
        appliance.main(prog_name="appliance", standalone_mode=False)
    except ApplianceError as error:
        _complain("\n".join(error.lines()))
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        _complain("Interrupted.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    sys.exit(0)


def _complain(text: str) -> None:
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(text, err=True)
