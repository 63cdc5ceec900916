"""The shape of one job in a service file."""

import zoneinfo
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Literal, Self

from cronsim import CronSim, CronSimError
from pydantic import Field, model_validator

from appliance.spec.checks import Check, Part, choice, text, whole
from appliance.spec.container_text import ContainerText
from appliance.spec.deploy_text import Rank
from appliance.spec.quantities import shown
from appliance.spec.suggestion import suggestion
from appliance.spec.texts import LabelName, Seconds, Texts

_ONLY_WITH_SCHEDULE = ("zone", "overlap", "missed")


def _cron_line(value: object) -> str:
    line = text(value)
    if len(line) > 100 or len(line.split()) != 5:
        raise ValueError(f"{shown(line)} is not a cron line: MINUTE HOUR DAY MONTH WEEKDAY, like 0 3 * * *")
    try:
        next(CronSim(line, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"{shown(line)} is not a cron line: {str(error).lower()}") from error
    except StopIteration:
        raise ValueError(f"{shown(line)} never comes") from None
    return line


def _zone(value: object) -> str:
    name = text(value)
    if name not in _zones():
        raise ValueError(f"{shown(name)} is not a time zone, like Asia/Shanghai{suggestion(name, _zones())}")
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


class JobText(Part):
    type: Annotated[Literal["once", "normal"], choice("once", "normal")] = Field(
        description="once: never run again by itself; normal: again until exit code 0."
    )
    rank: Rank = Field(default=0, description="Runs when all lower ranks are ready; higher ranks wait for its success.")
    schedule: Annotated[str, Check(_cron_line, {"type": "string"})] | None = Field(
        default=None, description="Cron line: MINUTE HOUR DAY MONTH WEEKDAY. Without: once for each change of the job."
    )
    zone: Annotated[str, Check(_zone, {"type": "string"})] = Field(
        default="UTC", description="Time zone of the schedule."
    )
    retries: Annotated[int, whole(0, 1000)] = Field(default=6, description="So many tries after the first.")
    timeout: Seconds = Field(default=0.0, description="A try that takes longer is ended and has failed; default: none.")
    parallelism: Annotated[int, whole(1, 100)] = Field(default=1, description="Instances of one run.")
    overlap: Annotated[Literal["skip", "allow", "replace"], choice("skip", "allow", "replace")] = Field(
        default="skip", description="What becomes of a run that is due while another has not ended."
    )
    missed: Annotated[Literal["skip", "run"], choice("skip", "run")] = Field(
        default="skip", description="run: one run makes up for those that were due while no manager ran."
    )
    keep: Annotated[int, whole(0, 1000)] = Field(default=5, description="Ended runs that are remembered.")
    stop_grace: Seconds = Field(default=10.0, description="Time to end by itself before it is killed.")
    require: dict[LabelName, Texts] = Field(
        default={}, description="Label → value, or list of values: the node must carry one."
    )
    container: ContainerText = Field(description="What runs.")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.type == "once" and "retries" in self.model_fields_set:
            raise ValueError("a job of type once is never tried again by itself: leave out retries, or use normal")
        unused = [name for name in _ONLY_WITH_SCHEDULE if name in self.model_fields_set]
        if self.schedule is None and unused:
            raise ValueError(f"{unused[0]} has a meaning only with a schedule")
        return self
