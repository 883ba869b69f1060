"""What a log says, put back together: trajectories, prompts, repositories.

episode = episodes(run.events())[PositionId(1, 0, 0, 2)]
episode.made.prompt_tokens == tokens_of(prompt(episode, skills, vetoes))
"""

from dataclasses import dataclass, field

from engine.agents.executor import Trajectory
from engine.agents.prompting import Prompts, SkillShown, Turn
from engine.core.events import CurationMade, EpisodeEnded, EpisodeStarted, TurnTaken
from engine.environments.base import Task
from engine.models.base import Message
from engine.skills import TOOLS


@dataclass
class Episode:
    """The events of one position."""

    started: EpisodeStarted
    turns: list[Turn] = field(default_factory=list)
    ended: EpisodeEnded | None = None
    made: CurationMade | None = None

    @property
    def trajectory(self):
        task = Task(self.started.task, self.started.family, self.started.prompt)
        return Trajectory(task, self.started.observation, self.turns, self.ended.outcome)


def episodes(stored):
    """Every position of a log, as it was last played; not those of held-out measurements."""
    found = {}
    for event in (item.event for item in stored if not getattr(getattr(item.event, "at", None), "held_out", False)):
        match event:
            case EpisodeStarted():
                found[event.at] = Episode(event)
            case TurnTaken():
                found[event.at].turns.append(Turn(event.thought, event.action, event.observation, event.invalid_action))
            case EpisodeEnded():
                found[event.at].ended = event
            case CurationMade():
                found[event.at].made = event
    return found


def curator_prompt(episode, repo, vetoes, config):
    """The chat that the curator was given after `episode`, whose skills lie in `repo`."""
    shown = [
        SkillShown(found.name, repo[found.name].description, repo[found.name].body.strip())
        for found in episode.started.skills
    ]
    return Prompts.load(config.curator.prompts).curator(
        task=episode.started.prompt,
        skills=shown,
        vetoes=vetoes,
        opening=episode.started.observation,
        turns=episode.turns,
        result=episode.ended.outcome.kind,
    )


def tokens_of(chat: list[Message], tokenizer):
    """How many tokens a curator's chat has, its tools included."""
    messages = [{"role": message.role, "content": message.content} for message in chat]
    text = tokenizer.apply_chat_template(messages, tools=TOOLS, add_generation_prompt=True, tokenize=False)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])
