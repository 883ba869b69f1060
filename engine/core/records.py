"""What events are made of: plain data without a kind of its own. `engine.core.events` gives them all."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["valid", "malformed", "refused"]


class GroupDrawn(msgspec.Struct, frozen=True):
    """One group of related tasks; `seed` reproduces it on any machine."""

    id: str
    family: str
    seed: int
    tasks: list[str]


class SkillFound(msgspec.Struct, frozen=True):
    """A skill that retrieval put into the executor's prompt, with the score that ranked it."""

    name: str
    score: float


class Call(msgspec.Struct, frozen=True):
    """One call of the curator: what it was, whether it applied, and why not.

    `operation` is insert, update, delete, or the unknown name; `skill` is the skill it is about ("" when unreadable).
    """

    operation: str
    skill: str
    verdict: Verdict
    why: str = ""


class Veto(msgspec.Struct, frozen=True):
    """A vetoed edit as it is quoted to the curator: which skill, why, and each field on one line.

    `operation` is insert, update or delete, `content` a piece of what the skill would have said; both are "" where unknown.
    """

    skill: str
    reason: str
    operation: str = ""
    content: str = ""


class RewardBreakdown(msgspec.Struct, frozen=True):
    """The composite reward r and its parts, of a rollout or averaged over a step; None is unmeasured.

    `r_human` is what people's decisions on the rollout's edits are worth; where there is none, r is the sum of the others.
    """

    r: float | None
    r_task: float | None
    r_fc: float | None
    r_cnt: float | None
    r_comp: float | None
    r_human: float | None = None


class ProcessMemory(msgspec.Struct, frozen=True):
    """The memory of one process in bytes: resident on the host, and on the GPU (None: not reported). `name` is what it is
    for the run ("engine", "trainer", "vllm", "workbench"), or "other …" where it belongs to no part of the run."""

    name: str
    pid: int
    resident: int | None
    gpu: int | None = None


class GpuMemory(msgspec.Struct, frozen=True):
    """The memory of one GPU in bytes, of all its users. `shared`: it uses the host's memory, and has no total of its own
    (None: not known). `reason` says why a figure is None."""

    name: str
    total: int | None = None
    used: int | None = None
    shared: bool | None = None
    reason: str = ""


class ModelUse(msgspec.Struct, frozen=True):
    """What one role's model was used for since the run began. `cached` prompt tokens came from a prefix cache (None: not
    reported), `failures` are calls that gave no answer, `cost` is None where no prices are set. `seconds` are those of the
    calls together. `unmeasured` are calls whose tokens are not known: likelihoods, prompts that were refused as too long,
    and calls that were given up."""

    role: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None
    failures: int = 0
    retries: int = 0
    cost: float | None = None
    seconds: float = 0.0
    unmeasured: int = 0


class JudgedTwice(msgspec.Struct, frozen=True):
    """How many decisions have this score of the judge and this one of the rubric beside it, each in [0, 1]."""

    judge: float
    check: float
    decisions: int


class SamplerRatio(msgspec.Struct, frozen=True):
    """How far the trainer's probabilities of the sampled tokens are from those that the sampler reported.

    The ratio of a token is p_trainer / p_sampler at temperature 1, before the update. `mean` and `p99` (its 99th percentile)
    are over the `tokens` that are trained on, and `outside` is the share of them whose ratio is outside [0.9, 1.1].
    """

    mean: float
    p99: float
    outside: float
    tokens: int


class Alarm(msgspec.Struct, frozen=True):
    """Something in a step's numbers that a person should look at. `name` is a name in `engine.training.alarms`, `message`
    says what was found, with its figures, and `advice` what to do. `pauses`: the run is paused for it."""

    name: str
    message: str
    advice: str
    pauses: bool = False


class Check(msgspec.Struct, frozen=True):
    """One result of a preflight. `name` is what is checked ("curator", "disk"), `message` what was found and what to do.

    `status`: "fail" stops a run, unless its name is overridden. `seconds` is how long the check took.
    """

    name: str
    status: Literal["pass", "warn", "fail"]
    message: str
    seconds: float = 0.0


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a prompt, as a model got it."""

    role: str
    content: str


class ScoredOption(msgspec.Struct, frozen=True):
    """A text that a model was asked to score: the mean natural log-probability of its tokens."""

    text: str
    logprob: float


class ModelCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """The exact prompt and answer of one call of a model.

    `turn` is the executor's turn, from 1; 0 for a call of the curation strategy. `tools` are the names of the functions that
    the answer may call. `settings` are those of the draw, by name. `seconds` is how long the call took, the wait for other
    requests included. `prompt_ids` and `answer_ids` are token ids, `pieces` the text of each token of the answer, `logprobs`
    its natural log-probability at temperature 1, to four decimals; None where the backend does not report them. `options`
    are the texts that the model scored instead of writing one.
    """

    role: Literal["executor", "curator"]
    turn: int
    messages: list[ChatMessage]
    answer: str
    seconds: float
    tools: list[str] = msgspec.field(default_factory=list)
    settings: dict[str, float | int | bool | str | None] = msgspec.field(default_factory=dict)
    prompt_ids: list[int] | None = None
    answer_ids: list[int] | None = None
    pieces: list[str] | None = None
    logprobs: list[float] | None = None
    options: list[ScoredOption] = msgspec.field(default_factory=list)
    version: int | None = None
