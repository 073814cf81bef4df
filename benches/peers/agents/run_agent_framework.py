"""Microsoft's Agent Framework over chat completions."""

import shared
from agent_framework.openai import OpenAIChatCompletionClient


def make(url):
    client = OpenAIChatCompletionClient(model=shared.MODEL, base_url=url)
    agent = client.as_agent(name="bench", instructions=shared.INSTRUCTIONS, tools=[shared.lookup])

    async def once():
        return (await agent.run(shared.QUESTION)).text

    return once


shared.main(make, "agent-framework-core", "agent-framework-openai", "openai")
