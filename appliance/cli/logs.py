"""`appliance logs INSTANCE [-f]`."""

from pathlib import Path

import click

from appliance.cli.here import here_option
from appliance.cli.node_options import root_option


@click.command("logs")
@click.argument("instance")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written from now on.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines.")
@click.option("--container", "-c", default="", help="Which container (default: the first).")
@click.option("--timestamps", "-t", is_flag=True, help="Put the time in front of each line.")
@here_option
@root_option
def command(
    instance: str, follow: bool, tail: int | None, container: str, timestamps: bool, here: bool, root: Path
) -> None:
    """Print what INSTANCE wrote, its errors on stderr."""
    import asyncio

    from appliance.cli.live import copy_output, live

    request: dict[str, object] = {"type": "logs", "instance": instance, "container": container, "follow": follow}
    request["timestamps"] = timestamps
    if tail is not None:
        request["tail"] = tail

    async def run() -> None:
        async with live(root, request, here=here) as connection:
            await copy_output(connection)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        # How a person ends `-f`; nothing went wrong.
        return
