"""The same tasks by TRL's GRPOTrainer with an `environment_factory`, its loop unchanged: `python stock.py --steps 1`.

The curator is the policy, its functions are the environment's tools, and what a call returns is the next task's trajectory,
which the frozen executor plays with the skills so far. So a rollout is one chat over all positions, in one sequence of
`max_completion_length` tokens.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from phases import Phases
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from engine.agents.executor import Turn
from engine.agents.prompting import Prompts, SkillShown
from engine.config import load_profile
from engine.core.outcomes import SUCCEEDED
from engine.core.seeds import seed_of
from engine.environments.episode import Episode
from engine.environments.registry import environment_kind, open_source
from engine.jobs.train.run import draws
from engine.models.base import Sampling
from engine.models.local.chat import ChatTemplate
from engine.models.local.sampling import generate
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base
from engine.skills import TOOLS

TOOL_TURNS = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' }}{{ m.content or '' }}"
    "{%- for c in m.tool_calls or [] -%}{{ '<tool_call>\\n' + (c.function | tojson) + '\\n</tool_call>' }}{%- endfor -%}"
    "{{ '<|im_end|>\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
"""The pocket template with calls and their results, which TRL needs. Tools are in the prompt's system message."""
ANSWER = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open": "<tool_call>",
            "close_pattern": r"</tool_call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|im_end\|>\s*", "content": "text"},
    },
}
"""How calls are read from an answer, as transformers' `response_template` has it."""


class Player:
    """The frozen executor, which answers one turn at a time: TRL calls tools one after the other."""

    def __init__(self, config, source, trainer_of):
        self.config, self.source, self.trainer_of = config, source, trainer_of
        self.prompts = Prompts.load(config.executor.prompts)
        self.kind = environment_kind(config.environment)

    def play(self, task, skills, seed):
        """The turns of `task`, its first observation, and whether it succeeded."""
        episode, turns = Episode(self.kind, self.source, task), []
        observation = opening = episode.start()
        settings, network = self.config.executor, self.trainer_of().model
        while episode.result() is None and len(turns) < episode.max_turns:
            messages = self.prompts.executor(
                task=task.prompt, skills=skills, observation=observation.text, actions=observation.actions, turns=turns,
                history=settings.history,
            )  # fmt: skip
            sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens)
            with network.disable_adapter():
                [drawn] = generate(
                    network, self.words, [self.template.prompt_ids(messages)], sampling, [seed * 1000 + len(turns)],
                    ends=self.template.ends, model="executor",
                )  # fmt: skip
            answer = episode.parse(drawn.text)
            observation, invalid = episode.step(answer.action)
            turns.append(Turn(answer.thought, answer.action, observation.text, invalid))
        return turns, opening.text, episode.final_result().outcome == SUCCEEDED


def environment_of(player, groups, reached):
    """The class of an environment: a rollout of one group, whose tools are the curator's functions."""

    class Rollout:
        def reset(self, group=0, **_):
            self.group, self.at, self.skills, self.done = groups[int(group)], 0, {}, []
            return self._next()

        def insert_skill(self, skill_name: str, content: str) -> str:
            """Add a skill.

            Args:
                skill_name: its name
                content: its text
            """
            self.skills[skill_name] = SkillShown(skill_name, "", content)
            return self._next()

        def update_skill(self, skill_name: str, new_content: str) -> str:
            """Change a skill.

            Args:
                skill_name: its name
                new_content: its text
            """
            return self.insert_skill(skill_name, new_content)

        def delete_skill(self, skill_name: str) -> str:
            """Remove a skill.

            Args:
                skill_name: its name
            """
            self.skills.pop(skill_name, None)
            return self._next()

        def get_reward(self) -> float:
            reached.append(self.at)
            return sum(self.done[1:]) / max(1, len(self.done[1:]))

        def _next(self):
            if self.at == len(self.group.tasks):
                return "The end."
            task, self.at = self.group.tasks[self.at], self.at + 1
            shown = list(self.skills.values())[-player.config.executor.skills :]
            turns, opening, won = player.play(task, shown, seed_of("play", self.group.seed, self.at))
            self.done.append(won)
            told = "\n".join(f"{turn.action}: {turn.observation}" for turn in turns)
            return f"{task.prompt}\n{opening}\n{told}\nResult: {'succeeded' if won else 'failed'}"

    return Rollout


def main(steps, settings):
    config = load_profile("pocket", settings)
    training, source = config.training, open_source(config.environment)
    words, clock, reached, holder = load_tokenizer(config.model), Phases(), [], []
    player = Player(config, source, lambda: holder[0])
    player.words, player.template = words, ChatTemplate(words)
    groups = [group for step in range(1, steps + 1) for group in draws(config, source)(step)]
    tools = "\n".join(f"{tool['function']['name']}(…)" for tool in TOOLS)
    nothing = {"task": "", "skills": [], "vetoes": [], "opening": "", "turns": [], "result": ""}
    system = f"{Prompts.load(config.curator.prompts).chat('curator', **nothing)[0].content}\n<tools>\n{tools}\n</tools>"
    rows = [
        {"prompt": [{"role": "system", "content": system}, {"role": "user", "content": ""}], "group": number}
        for number in range(len(groups))
    ]
    words.chat_template, words.response_template = TOOL_TURNS, ANSWER

    class Clocked(GRPOTrainer):
        def _generate_and_score_completions(self, inputs):
            clock.end("rest")
            made = super()._generate_and_score_completions(inputs)
            clock.end("rollouts")
            mask = made["completion_mask"] * made.get("tool_mask", torch.ones_like(made["completion_mask"]))
            self.sampled = int(mask.sum())
            return made

    class Ends(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            clock.end("update")
            clock.step(
                tokens=holder[0].sampled, trained=holder[0].sampled, positions=sum(reached) / max(1, len(reached))
            )
            reached.clear()

    with tempfile.TemporaryDirectory() as folder:
        holder.append(
            Clocked(
                model=load_base(config.model),
                args=GRPOConfig(
                    output_dir=str(Path(folder)), max_steps=steps, learning_rate=training.learning_rate,
                    per_device_train_batch_size=training.groups * training.rollouts, num_generations=training.rollouts,
                    max_completion_length=config.curator.max_tokens * training.tasks, temperature=config.curator.temperature,
                    scale_rewards="none", beta=training.kl, use_cpu=True, bf16=False, report_to=[], disable_tqdm=True,
                    shuffle_dataset=False, save_strategy="no", gradient_checkpointing=False,
                ),
                processing_class=words, train_dataset=Dataset.from_list(rows),
                environment_factory=environment_of(player, groups, reached), callbacks=[Ends()],
                peft_config=LoraConfig(
                    r=training.lora_rank, lora_alpha=training.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
                ),
            )
        )  # fmt: skip
        clock.start()
        holder[0].train()
    print(clock.report())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    main(given.steps, given.set)
