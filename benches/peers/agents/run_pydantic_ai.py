"""Pydantic AI over chat completions."""

import shared
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def make(url):
    model = OpenAIChatModel(shared.MODEL, provider=OpenAIProvider(base_url=url))
    agent = Agent(model, instructions=shared.INSTRUCTIONS, tools=[shared.lookup])

    async def once():
        return (await agent.run(shared.QUESTION)).output

    return once


shared.main(make, "pydantic-ai-slim", "openai")
