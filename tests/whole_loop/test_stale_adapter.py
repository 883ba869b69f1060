"""A train run on a model server that serves the adapter of the step before as the new one."""

import pytest

from engine.runs.directory import Run
from tests.models.vllm.served import VllmStandIn
from tests.whole_loop.shell import SMALLEST, skillos, status, told, wait_until

pytestmark = pytest.mark.slow


class Stale(VllmStandIn):
    """From the adapter of the second step on, each that is loaded answers as the one before it, until `mended`."""

    mended = False

    async def _load(self, body):
        before = list(self.adapters)
        response = await super()._load(body)
        if not self.mended and "-v2" in body["lora_name"]:
            self.decodes_as[body["lora_name"]] = before[-1]
        return response


def test_a_stale_adapter_fails_the_run_with_the_reason_and_a_resume_trains_on_from_its_checkpoint(place):
    with Stale() as server:
        settings = ("training.evaluate_every=0", "model.kind=vllm", "model.context=4096", f"model.url={server.url}")
        done = skillos("train", *SMALLEST, *settings, "--steps", 3, "--run", place / "run")
        address = server.url.removesuffix("/v1")
        assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
        shown = status(place / "run")
        assert shown["state"] == "failed" and shown["reason"] in done.stderr
        assert f"the server {address} does not answer as the adapter of step 2" in shown["reason"]
        assert "those of the adapter before it" in shown["reason"] and "resume publishes" in shown["reason"]
        server.mended = True
        server.decodes_as.clear()
        told("resume", place / "run")
        with Run.open(place / "run") as run:
            wait_until(lambda: run.state().state in ("finished", "failed") and not run.engine_alive())
            assert run.state().state == "finished"
            versions = {stored.event.at.step: stored.event.version for stored in run.events(kinds=["curation_made"])}
            assert versions == {1: 0, 2: 1, 3: 2}
            assert [stored.event.measured for stored in run.events(kinds=["step_ended"])] == [4, 4, 4]
    assert "0 differences" in told("verify", place / "run")
