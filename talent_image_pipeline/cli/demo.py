"""``demo``: everything with sample talents, and without any real platform."""

import click
from click.core import ParameterSource
from rich.console import Console

from talent_image_pipeline.cli.demo_steps import DemoPorts, run_demo
from talent_image_pipeline.cli.ports import WantedPort, choose_ports
from talent_image_pipeline.sandbox.server import DEFAULT_PORT

_PORTS = {
    "port": ("the Dagster UI", 3000, "--port"),
    "service_port": ("the gallery", 3001, "--service-port"),
    "sandbox_port": ("the sandbox", DEFAULT_PORT, "--sandbox-port"),
}


@click.command(epilog="Example: talent-images demo --once")
@click.option("--once", is_flag=True, help="Exit after the sync instead of leaving the Dagster UI running.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--service-port", default=3001, show_default=True, help="Port of the gallery and the pictures.")
@click.option("--sandbox-port", default=DEFAULT_PORT, show_default=True, help="Port of the platforms' sandbox.")
@click.pass_context
def demo(context: click.Context, *, once: bool, port: int, service_port: int, sandbox_port: int) -> None:
    """Sync sample talents against a sandbox of the platforms and show the result.

    Where a port is taken the next free one is used, unless you asked for that very port.
    """
    given = {"port": port, "service_port": service_port, "sandbox_port": sandbox_port}
    needed = ["sandbox_port"] if once else list(given)
    chosen = choose_ports(
        [
            WantedPort(
                purpose=_PORTS[name][0],
                port=given[name],
                is_exact=context.get_parameter_source(name) is ParameterSource.COMMANDLINE,
                option=_PORTS[name][2],
            )
            for name in needed
        ]
    )
    console = Console(highlight=False)
    for name, free in zip(needed, chosen, strict=True):
        if free != given[name]:
            console.print(f"Port {given[name]} is taken; {_PORTS[name][0]} uses {free}.")
    free_ports = {**given, **dict(zip(needed, chosen, strict=True))}
    run_demo(
        console=console,
        once=once,
        ports=DemoPorts(ui=free_ports["port"], service=free_ports["service_port"], sandbox=free_ports["sandbox_port"]),
    )
